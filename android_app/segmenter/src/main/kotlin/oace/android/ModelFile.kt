package oace.android

import java.nio.BufferUnderflowException
import java.nio.ByteBuffer
import java.nio.ByteOrder

/**
 * What a .tflite file of the interface `points` says about itself: the tensors of its signature, and
 * the metadata OACE_METADATA. As oace_tf/runtime reads it.
 *
 * @property size side of the square frame, pixels
 * @property maxPoints rows of `points`
 * @property takesPrevious whether it wants its own mask of the taps before
 * @property gestures what it was trained on, by the words of its metadata; empty: taps alone
 * @property clickChannels 2 where taps on the background count, 1 where the file ignores them
 * @property answers how many masks it gives beside `mask`; 1 where there are none
 */
data class ModelFile(
    val size: Int,
    val maxPoints: Int,
    val takesPrevious: Boolean = false,
    val gestures: Set<String> = setOf(),
    val clickChannels: Int = 1,
    val answers: Int = 1,
) {
    /** What a gesture for it may be made of. */
    val kinds: Set<Kind> get() = when {
        gestures.isNotEmpty() -> Kind.entries.filterTo(LinkedHashSet()) { it.word in gestures }
        clickChannels == 2 -> setOf(Kind.TAP, Kind.BACKGROUND)
        else -> setOf(Kind.TAP)
    }

    companion object {
        const val SIGNATURE = "serving_default"

        /**
         * Reads the file [bytes], from its position to its limit; [name] is for what is said about it.
         *
         * @throws IllegalArgumentException it is no .tflite file, damaged, or of another interface
         */
        fun read(bytes: ByteBuffer, name: String): ModelFile {
            val file = bytes.slice().order(ByteOrder.LITTLE_ENDIAN)
            val again = "fetch it again or make it with export/quantize.py"
            require(file.limit() >= 8 && (4..7).all { file[it].toInt().toChar() == "TFL3"[it - 4] }) {
                "$name is not a .tflite file; $again"
            }
            val (signature, metadata) = try {
                val root = Table(file, file.getInt(0))
                signature(root) to metadata(root)
            } catch (error: IndexOutOfBoundsException) {
                throw IllegalArgumentException("$name is truncated or damaged; $again", error)
            } catch (error: BufferUnderflowException) {
                throw IllegalArgumentException("$name is truncated or damaged; $again", error)
            } catch (error: JsonText.Malformed) {
                throw IllegalArgumentException("$name is damaged: its metadata is not JSON; $again", error)
            }
            return Contract(name, signature, metadata).file()
        }

        // Slot numbers are those of TensorFlow's schema.fbs, version 3.
        private fun signature(root: Table): Pair<Map<String, Tensor>, Map<String, Tensor>>? {
            val graphs = root.tables(2)
            val signature = root.tables(7).firstOrNull { it.text(2) == SIGNATURE } ?: return null
            val tensors = graphs[signature.int(4)].tables(0)
            val (inputs, outputs) = (0..1).map { side ->
                signature.tables(side).associate { it.text(0) to tensor(tensors[it.int(1)]) }
            }
            return inputs to outputs
        }

        private fun tensor(table: Table): Tensor {
            val quantization = table.table(4)
            return Tensor(
                table.byte(1), table.ints(0), quantization?.firstFloat(2) ?: 0f, quantization?.firstLong(3) ?: 0)
        }

        private fun metadata(root: Table): Map<*, *> {
            val entry = root.tables(6).firstOrNull { it.text(0) == "OACE_METADATA" } ?: return mapOf<String, Any>()
            val buffer = root.tables(4)[entry.int(1)]
            val offset = buffer.long(1) // where it lies behind the flatbuffer, not in it
            val text = if (offset > 1) buffer.file.text(offset, buffer.long(2)) else buffer.text(0)
            return JsonText(text).value() as? Map<*, *> ?: throw JsonText.Malformed()
        }
    }
}

/** A tensor of the signature: its type and scale as the file has them. */
private class Tensor(val type: Int, val shape: List<Int>, val scale: Float, val zeroPoint: Long) {
    fun holds(type: Int, vararg shape: Int) = this.type == type && this.shape == shape.toList()

    override fun toString() = "${NAMES[type] ?: "type $type"} $shape"

    companion object {
        const val FLOAT32 = 0
        const val UINT8 = 3
        val NAMES = mapOf(FLOAT32 to "float32", 2 to "int32", UINT8 to "uint8", 9 to "int8")
    }
}

/** The tensors and the metadata of a file, checked against the interface `points`. */
private class Contract(
    private val name: String, signature: Pair<Map<String, Tensor>, Map<String, Tensor>>?,
    private val metadata: Map<*, *>,
) {
    private val inputs = signature?.first.orEmpty()
    private val outputs = signature?.second.orEmpty()

    fun file(): ModelFile {
        val several = outputs.keys == setOf("mask", "masks", "scores")
        require(inputs.keys - "previous" == setOf("image", "points") && (several || outputs.keys == setOf("mask"))) {
            "$name is of another interface: its tensors are ${inputs.keys.sorted()} -> " +
                "${outputs.keys.sorted()}, expected image, points -> mask; make it with --interface points"
        }
        val size = inputs.getValue("image").shape.getOrElse(1) { 0 }
        val rows = inputs.getValue("points").shape.getOrElse(1) { 0 }
        val answers = outputs["scores"]?.shape?.lastOrNull() ?: 1
        check("image", inputs, size, 3)
        check("previous", inputs, size, 1)
        check("mask", outputs, size, 1)
        check("masks", outputs, size, answers)
        require(inputs.getValue("points").holds(Tensor.FLOAT32, 1, rows, 3) && minOf(size, rows, answers) > 0 &&
            outputs["scores"]?.holds(Tensor.FLOAT32, 1, answers) != false) {
            "$name: its points are ${inputs["points"]}, its scores ${outputs["scores"]}; " +
                "make the file with export/quantize.py"
        }
        val gestures = metadata["gestures"] ?: listOf<String>()
        require(gestures is List<*> && gestures.all { it is String }) {
            "$name: its metadata says gestures = $gestures, expected a list of words; build the file again"
        }
        agrees("interface", setOf("points", "points-multi"))
        agrees("click_channels", setOf(1.0, 2.0))
        agrees("max_points", setOf(rows.toDouble()))
        return ModelFile(
            size, rows, "previous" in inputs, gestures.mapTo(LinkedHashSet()) { it as String },
            (metadata["click_channels"] as Double? ?: 1.0).toInt(), answers)
    }

    private fun check(tensor: String, side: Map<String, Tensor>, size: Int, channels: Int) {
        val facts = side[tensor] ?: return
        val float = if (facts.type == Tensor.FLOAT32) "take the int8 file" else "make it with export/quantize.py"
        require(facts.holds(Tensor.UINT8, 1, size, size, channels)) {
            "$name: its $tensor is $facts, expected uint8 [1, $size, $size, $channels]; $float"
        }
        val (scale, zero) = if (tensor == "image") 1f / 128 to 128L else 1f / 256 to 0L
        require(facts.zeroPoint == zero && facts.scale in scale * (1 - 1e-6f)..scale * (1 + 1e-6f)) {
            "$name: its $tensor has the scale ${facts.scale} and zero point ${facts.zeroPoint}, expected " +
                "$scale and $zero; make the file with export/quantize.py"
        }
    }

    private fun agrees(key: String, allowed: Set<Any>) = require(metadata[key]?.let { it in allowed } != false) {
        "$name: its metadata says $key = ${metadata[key]}, expected ${allowed.joinToString(" or ")}; " +
            "build the file again"
    }
}

/** [count] bytes from [place] on, as text. */
private fun ByteBuffer.text(place: Long, count: Long): String {
    if (place < 0 || count < 0 || place > limit() - count) throw IndexOutOfBoundsException()
    return String(ByteArray(count.toInt()) { this[place.toInt() + it] }, Charsets.UTF_8)
}

/** A table of a flatbuffer. An offset that leads out of the file is an IndexOutOfBoundsException. */
private class Table(val file: ByteBuffer, private val place: Int) {
    private val vtable = place - file.getInt(place)
    private val length = file.getShort(vtable).toInt() and 0xFFFF

    private fun field(slot: Int): Int? {
        val entry = 4 + 2 * slot
        val offset = if (entry + 2 <= length) file.getShort(vtable + entry).toInt() and 0xFFFF else 0
        return if (offset == 0) null else place + offset
    }

    private fun target(slot: Int): Int? = field(slot)?.let { it + file.getInt(it) }

    /** Place of the first element of a vector of elements of [bytes] each, and their count. */
    private fun vector(slot: Int, bytes: Int): Pair<Int, Int> {
        val start = target(slot) ?: return 0 to 0
        val count = file.getInt(start)
        if (count < 0 || count.toLong() * bytes > file.limit() - start - 4L) throw IndexOutOfBoundsException()
        return start + 4 to count
    }

    fun byte(slot: Int) = field(slot)?.let { file[it].toInt() } ?: 0

    fun int(slot: Int) = field(slot)?.let { file.getInt(it) } ?: 0

    fun long(slot: Int) = field(slot)?.let { file.getLong(it) } ?: 0

    fun table(slot: Int) = target(slot)?.let { Table(file, it) }

    fun tables(slot: Int): List<Table> = vector(slot, 4).let { (start, count) ->
        List(count) { k -> (start + 4 * k).let { Table(file, it + file.getInt(it)) } }
    }

    fun ints(slot: Int) = vector(slot, 4).let { (start, count) -> List(count) { file.getInt(start + 4 * it) } }

    fun firstFloat(slot: Int) = vector(slot, 4).let { (start, count) -> if (count > 0) file.getFloat(start) else 0f }

    fun firstLong(slot: Int) = vector(slot, 8).let { (start, count) -> if (count > 0) file.getLong(start) else 0L }

    fun text(slot: Int) = vector(slot, 1).let { (start, count) -> file.text(start.toLong(), count.toLong()) }
}

/** A JSON text: objects as Map, arrays as List, numbers as Double. (Android has its own, a JVM has none.) */
private class JsonText(private val text: String) {
    class Malformed : Exception()

    private var at = 0

    fun value(): Any? = inner(0).also { if (next() != null) throw Malformed() }

    private fun next(): Char? {
        while (at < text.length && text[at] in " \t\r\n") at++
        return text.getOrNull(at)
    }

    private fun take(wanted: Char) = if (next() == wanted) at++ else throw Malformed()

    private fun inner(depth: Int): Any? {
        if (depth > MOST_DEPTH) throw Malformed()
        return when (next()) {
            '{' -> buildMap {
                items('}') {
                    val key = string()
                    take(':')
                    put(key, inner(depth + 1))
                }
            }
            '[' -> buildList { items(']') { add(inner(depth + 1)) } }
            '"' -> string()
            else -> word()
        }
    }

    private fun items(end: Char, item: () -> Unit) {
        at++
        if (next() == end) return Unit.also { at++ }
        while (true) {
            item()
            if (next() == end) return Unit.also { at++ }
            take(',')
        }
    }

    private fun word(): Any? {
        val start = at
        while (at < text.length && (text[at].isLetterOrDigit() || text[at] in "+-.")) at++
        return when (val word = text.substring(start, at)) {
            "true" -> true
            "false" -> false
            "null" -> null
            else -> if (NUMBER.matches(word)) word.toDouble() else throw Malformed()
        }
    }

    private fun string(): String {
        take('"')
        return buildString {
            while (true) {
                val letter = text.getOrNull(at++) ?: throw Malformed()
                if (letter == '"') return@buildString
                append(if (letter == '\\') escaped() else letter)
            }
        }
    }

    private fun escaped(): Char = when (val letter = text.getOrNull(at++)) {
        '"', '\\', '/' -> letter
        'b' -> '\b'
        'f' -> '\u000C'
        'n' -> '\n'
        'r' -> '\r'
        't' -> '\t'
        'u' -> text.substring(at, minOf(at + 4, text.length)).also { at += 4 }.takeIf { HEX.matches(it) }
            ?.toInt(16)?.toChar() ?: throw Malformed()
        else -> throw Malformed()
    }

    private companion object {
        const val MOST_DEPTH = 64
        val NUMBER = Regex("""-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?""")
        val HEX = Regex("[0-9a-fA-F]{4}")
    }
}
