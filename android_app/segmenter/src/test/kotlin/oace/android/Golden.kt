package oace.android

import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlin.random.Random

/*
 * Answers the cases of a folder with the Kotlin that needs no Android, for tests/android_app, which
 * compares the answers with Python's. What is read and written:
 *
 * cases.txt: a line a case: name, width and height as stored, EXIF orientation, side of the frame,
 *   rows of `points`, 1 where the file takes the mask before, what it was trained on (words with
 *   commas, or -), how many answers it gives, then x y label for each row of the gesture. NAME.rgba
 *   holds the stored pixels, NAME.mask the mask that the model is made to give. Written: NAME.image,
 *   NAME.points, NAME.probability (float32, little endian), NAME.cutout (R, G, B, A), NAME.region, and
 *   NAME.previous, the masks that the model was given. Of several answers the probabilities follow
 *   each other.
 * tidy.txt: width height, then x y label for each tap; tidy.bits holds the masks one after the other,
 *   a byte a pixel. Written: tidied.bits.
 * looks.txt: as cases.txt, without orientation and answers: files of gestures asked once, where a small
 *   object gets a second look. Written: NAME.images and NAME.points, of all questions, NAME.region, and
 *   NAME.kept, what is handed back with the next tap.
 * small.txt: width height, then x y label for each row of the gesture; small.bits holds the masks.
 *   Written: windows.txt, left top right bottom of the part around a small object, or - for none.
 * strokes.txt: width height most, then x y for each place. Written: scribbles.txt, x y a tap.
 * files.txt: a .tflite file a line. Written: facts.txt, what each says of itself, and damaged.txt, how
 *   many damaged copies were refused as they should, and what else was thrown.
 * refused.txt is written: what is said to input that makes no sense.
 */

private val RGBA = intArrayOf(16, 8, 0, 24) // bits of 0xAARRGGBB to the right of each

/**
 * A model that keeps what it is given. It answers with a recorded mask, which it rolls by the rows in
 * use and the mask before, so that no two answers are alike.
 */
private class Recorded(override val file: ModelFile, private val mask: ByteArray) : TapModel {
    var previous = ByteArray(0)
    val images = ArrayList<ByteArray>()
    val questions = ArrayList<FloatArray>()
    val image get() = images.last()
    val points get() = questions.last()
    override val runsOn = "record"

    override fun run(image: ByteArray, points: FloatArray, previous: ByteArray?): Outputs {
        check((previous != null) == file.takesPrevious) { "a previous mask where there is none, or the reverse" }
        this.previous += previous ?: ByteArray(0)
        images += image
        questions += points
        if (previous == null) return Outputs(mask)
        val sum = previous.sumOf { it.toInt() and 255 }
        val rows = points.indices.count { it % 3 == 2 && points[it] >= 0 }
        val rolled = rolled(17 * rows + 257 * (sum % 101))
        if (file.answers == 1) return Outputs(rolled)
        val masks = List(file.answers) { rolled(17 * rows + 257 * (sum % 101) + 5001 * it) }
        val several = ByteArray(mask.size * file.answers) { masks[it % file.answers][it / file.answers] }
        return Outputs(rolled, several, FloatArray(file.answers) { it / 8f })
    }

    private fun rolled(by: Int) = ByteArray(mask.size) { mask[(it - by).mod(mask.size)] }

    override fun close() = Unit
}

private fun floats(values: FloatArray) = ByteBuffer.allocate(4 * values.size)
    .order(ByteOrder.LITTLE_ENDIAN).apply { values.forEach(::putFloat) }.array()

/** The gesture of rows in Python's order: drag, box, extreme points, taps. */
private fun gesture(rows: List<Row>): Gesture {
    fun places(vararg labels: Int) = rows.filter { it.label in labels }.map { Place(it.x, it.y) }
    fun pair(places: List<Place>) = if (places.isEmpty()) null else places[0] to places[1]
    val drags = rows.getOrNull(1)?.label == Gesture.RELEASE
    return Gesture(
        rows.drop(if (drags) 2 else 0).filter { it.label in 0..1 }.map { Tap(it.x, it.y, it.label == 1) },
        pair(places(Gesture.CORNER, Gesture.OPPOSITE)),
        places(Gesture.EXTREME),
        pair(if (drags) rows.take(2).map { Place(it.x, it.y) } else listOf()),
    )
}

private fun rows(words: List<String>) =
    words.chunked(3) { Row(it[0].toDouble(), it[1].toDouble(), it[2].toInt()) }

private fun probabilities(mask: ObjectMask): FloatArray {
    val probability = FloatArray(mask.width * mask.height)
    val row = FloatArray(mask.width)
    for (y in 0 until mask.height) {
        mask.row(y, row)
        row.copyInto(probability, y * mask.width)
    }
    return probability
}

private fun bits(region: Region): ByteArray {
    val row = BooleanArray(region.width)
    val bytes = ByteArray(region.width * region.height)
    for (y in 0 until region.height) {
        region.row(y, row)
        for (x in row.indices) if (row[x]) bytes[y * region.width + x] = 1
    }
    check(bytes.count { it.toInt() == 1 } == region.area)
    return bytes
}

private fun answer(folder: File, words: List<String>) {
    val (name, width, height, orientation, size) = words
    val rgba = File(folder, "$name.rgba").readBytes()
    val stored = Photograph(width.toInt(), height.toInt(), IntArray(rgba.size / 4) { i ->
        (0..3).fold(0) { argb, c -> argb or ((rgba[4 * i + c].toInt() and 255) shl RGBA[c]) }
    })
    val photograph = TapTensors.upright(stored, orientation.toInt())
    val gestures = if (words[7] == "-") setOf() else words[7].split(',').toSet()
    val file = ModelFile(size.toInt(), words[5].toInt(), words[6] == "1", gestures, 2, words[8].toInt())
    val model = Recorded(file, File(folder, "$name.mask").readBytes())
    val segmenter = TapSegmenter(model, secondLook = false)
    segmenter.setPhotograph(photograph)
    val gesture = gesture(rows(words.drop(9)))
    val masks = if (file.answers > 1) {
        segmenter.alternatives(gesture).onEachIndexed { k, it -> check(it.score == k / 8f) }.map { it.mask }
    } else if (gestures.isEmpty()) {
        listOf(segmenter.segment(gesture.taps))
    } else {
        val before = runCatching { gesture.copy(taps = gesture.taps.dropLast(1)) }.getOrDefault(gesture)
        listOf(segmenter.segment(gesture, segmenter.segment(before)))
    }
    val cutout = TapTensors.cutout(photograph, masks[0])
    File(folder, "$name.previous").writeBytes(model.previous)
    File(folder, "$name.image").writeBytes(model.image)
    File(folder, "$name.points").writeBytes(floats(model.points))
    File(folder, "$name.probability").writeBytes(masks.map { floats(probabilities(it)) }.reduce(ByteArray::plus))
    File(folder, "$name.region").writeBytes(bits(masks[0].region))
    File(folder, "$name.cutout").writeBytes(ByteArray(4 * cutout.size) { (cutout[it / 4] shr RGBA[it % 4]).toByte() })
}

private fun look(folder: File, words: List<String>) {
    val (name, width, height, size, maxRows) = words
    val rgba = File(folder, "$name.rgba").readBytes()
    val photograph = Photograph(width.toInt(), height.toInt(), IntArray(rgba.size / 4) { i ->
        (0..3).fold(0) { argb, c -> argb or ((rgba[4 * i + c].toInt() and 255) shl RGBA[c]) }
    })
    val gestures = words[6].split(',').toSet()
    val file = ModelFile(size.toInt(), maxRows.toInt(), words[5] == "1", gestures, 2, 1)
    val model = Recorded(file, File(folder, "$name.mask").readBytes())
    val segmenter = TapSegmenter(model)
    segmenter.setPhotograph(photograph)
    val mask = segmenter.segment(gesture(rows(words.drop(7))))
    File(folder, "$name.images").writeBytes(model.images.reduce(ByteArray::plus))
    File(folder, "$name.points").writeBytes(model.questions.map(::floats).reduce(ByteArray::plus))
    File(folder, "$name.region").writeBytes(bits(mask.region))
    File(folder, "$name.kept").writeBytes(mask.given!!.bytes)
}

/** A mask of whole pixels. */
private class BitMask(
    override val width: Int, override val height: Int, private val bytes: ByteArray, private val start: Int,
) : ObjectMask {
    override fun row(y: Int, into: FloatArray) {
        for (x in 0 until width) into[x] = bytes[start + y * width + x].toFloat()
    }
}

private fun tidied(folder: File): ByteArray {
    val all = File(folder, "tidy.bits").readBytes()
    var start = 0
    return File(folder, "tidy.txt").readLines().map { line ->
        val words = line.split(' ')
        val taps = rows(words.drop(2)).map { Tap(it.x, it.y, it.label == Gesture.OBJECT) }
        val mask = BitMask(words[0].toInt(), words[1].toInt(), all, start)
        start += mask.width * mask.height
        bits(mask.region.tidy(taps))
    }.fold(ByteArray(0), ByteArray::plus)
}

private fun windows(folder: File): List<String> {
    val all = File(folder, "small.bits").readBytes()
    var start = 0
    return File(folder, "small.txt").readLines().map { line ->
        val words = line.split(' ')
        val mask = BitMask(words[0].toInt(), words[1].toInt(), all, start)
        start += mask.width * mask.height
        Window.aroundSmall(mask.region, gesture(rows(words.drop(2))))
            ?.run { "$left $top $right $bottom" } ?: "-"
    }
}

private fun scribbles(folder: File) = File(folder, "strokes.txt").readLines().map { line ->
    val words = line.split(' ')
    val places = words.drop(3).chunked(2) { Place(it[0].toDouble(), it[1].toDouble()) }
    Gesture.scribble(places, words[0].toInt(), words[1].toInt(), most = words[2].toInt())
        .joinToString(" ") { "${it.x} ${it.y}" }
}

private fun facts(path: String): String = try {
    ModelFile.read(ByteBuffer.wrap(File(path).readBytes()), "FILE").run {
        "$size $maxPoints $takesPrevious $clickChannels $answers ${kinds.map { it.word }.sorted().joinToString(",")}"
    }
} catch (error: IllegalArgumentException) {
    "refused: ${error.message}"
}

/** Cuts and changes of a file, each of which must be read or refused in words. */
private fun damaged(path: String): String {
    val bytes = File(path).readBytes()
    val random = Random(7)
    var refused = 0
    val others = sortedSetOf<String>()
    fun attempt(length: Int) = try {
        ModelFile.read(ByteBuffer.wrap(bytes, 0, length), "FILE")
        Unit
    } catch (error: IllegalArgumentException) {
        refused++
        Unit
    } catch (error: Throwable) {
        others += error.javaClass.name
        Unit
    }
    for (length in 0 until bytes.size step 1 + bytes.size / 1000) attempt(length)
    repeat(4000) {
        val place = random.nextInt(bytes.size)
        val before = bytes[place]
        bytes[place] = random.nextInt().toByte()
        attempt(bytes.size)
        bytes[place] = before
    }
    return "$refused ${others.joinToString(",")}"
}

/** What is said to input that makes no sense; a line each, "taken" where nothing is said. */
private fun refusals(): List<String> {
    val photograph = Photograph(4, 3, IntArray(12))
    fun of(file: ModelFile) = TapSegmenter(Recorded(file, ByteArray(64))).apply { setPhotograph(photograph) }
    val one = of(ModelFile(8, 2))
    val taps = of(ModelFile(8, 2, clickChannels = 2))
    val ritm = of(ModelFile(8, 2, takesPrevious = true, clickChannels = 2))
    val boxes = of(ModelFile(8, 2, takesPrevious = true, gestures = setOf("tap", "box", "later")))
    val other = TapSegmenter(Recorded(ModelFile(8, 2, true), ByteArray(64)))
    other.setPhotograph(Photograph(3, 4, IntArray(12)))
    val on = Tap(0.0, 0.0)
    val off = Tap(0.0, 0.0, onObject = false)
    val box = Gesture(box = Place(0.0, 0.0) to Place(2.0, 2.0))
    return listOf<() -> Any>(
        { Photograph(4, 3, IntArray(11)) },
        { Photograph(0, 3, IntArray(0)) },
        { TapSegmenter(Recorded(ModelFile(8, 2), ByteArray(64))).segment(listOf(on)) },
        { taps.segment(listOf()) },
        { taps.segment(listOf(off)) },
        { taps.segment(listOf(on, on, on)) },
        { taps.segment(listOf(Tap(3.6, 0.0))) },
        { taps.segment(listOf(Tap(0.0, -0.6))) },
        { taps.segment(listOf(Tap(Double.NaN, 0.0))) },
        { taps.segment(listOf(Tap(3.5, -0.5))) },
        { taps.segment(box) },
        { ritm.segment(box) },
        { one.segment(listOf(on, off)) },
        { boxes.segment(listOf(on, off)) },
        { Gesture(extreme = listOf(Place(0.0, 0.0))) },
        { Gesture(box = Place(0.0, Double.NaN) to Place(2.0, 2.0)) },
        { boxes.segment(Gesture(box = Place(-9.0, 0.0) to Place(-5.0, 2.0))) },
        { boxes.segment(Gesture(box = Place(1.0, 0.0) to Place(9.0, 2.0))) },
        { taps.segment(Gesture(listOf(on)), taps.segment(listOf(on))) },
        { boxes.segment(box, other.segment(listOf(on))) },
        { boxes.alternatives(box) },
        { Gesture.scribble(listOf(), 4, 3) },
    ).map { runCatching(it).exceptionOrNull()?.message ?: "taken" }
}

fun main(arguments: Array<String>) {
    val folder = File(arguments.single())
    fun write(name: String, lines: List<String>) = File(folder, name).writeText(lines.joinToString("\n"))
    File(folder, "cases.txt").forEachLine { answer(folder, it.split(' ')) }
    File(folder, "looks.txt").forEachLine { look(folder, it.split(' ')) }
    File(folder, "tidied.bits").writeBytes(tidied(folder))
    write("windows.txt", windows(folder))
    write("scribbles.txt", scribbles(folder))
    val files = File(folder, "files.txt").readLines()
    write("facts.txt", files.map(::facts))
    write("damaged.txt", files.map(::damaged))
    write("refused.txt", refusals())
}
