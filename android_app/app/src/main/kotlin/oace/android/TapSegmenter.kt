package oace.android

import kotlin.math.ceil
import kotlin.math.floor
import kotlin.math.max
import kotlin.math.min
import kotlin.math.round

/*
 * Photograph + gesture -> the file's tensors -> mask at the photograph's size: the arithmetic of
 * oace_tf/geometry.py, oace_tf/gestures.py and oace_tf/segmenter.py, number for number. No Android
 * and no LiteRT here: a plain JVM compiles and runs this file, and tests/android_app does so
 * against Python.
 */

/** A tap in pixels of the upright photograph; pixel centres are whole numbers. */
data class Tap(val x: Double, val y: Double, val onObject: Boolean = true)

/** A place in pixels of the upright photograph. */
data class Place(val x: Double, val y: Double)

/** A row of `points`: a place and its label. */
data class Row(val x: Double, val y: Double, val label: Int)

/**
 * What a person does on a photograph: taps, two opposite corners of a box around the object, its
 * leftmost, rightmost, top and bottom point ([extreme]), a drag from its middle to its nearest edge
 * (from, to). Any mixture, as long as something says which object is meant.
 */
data class Gesture(
    val taps: List<Tap> = listOf(),
    val box: Pair<Place, Place>? = null,
    val extreme: List<Place> = listOf(),
    val drag: Pair<Place, Place>? = null,
) {
    init {
        require(extreme.isEmpty() || extreme.size == 4) { "${extreme.size} extreme points; give four" }
        require(box != null || extreme.isNotEmpty() || drag != null || taps.any { it.onObject }) {
            "nothing says which object is meant; tap on it"
        }
        require(rows().all { it.x.isFinite() && it.y.isFinite() }) { "a gesture holds no finite number" }
    }

    /** The gesture as rows of `points`, in pixels of the photograph. */
    fun rows(): List<Row> = buildList {
        drag?.let { (from, to) -> add(Row(from.x, from.y, OBJECT)).also { add(Row(to.x, to.y, RELEASE)) } }
        box?.let { (from, to) -> add(Row(from.x, from.y, CORNER)).also { add(Row(to.x, to.y, OPPOSITE)) } }
        extreme.forEach { add(Row(it.x, it.y, EXTREME)) }
        taps.forEach { add(Row(it.x, it.y, if (it.onObject) OBJECT else BACKGROUND)) }
    }

    /** The corners and extreme points; none where nothing bounds the object. */
    val bounds: List<Place> get() = (box?.toList() ?: listOf()) + extreme

    companion object {
        const val UNUSED = -1
        const val BACKGROUND = 0
        const val OBJECT = 1
        const val CORNER = 2
        const val OPPOSITE = 3
        const val EXTREME = 4
        const val RELEASE = 5
    }
}

/** An upright photograph: [argb] has [width] * [height] pixels 0xAARRGGBB, row by row. */
class Photograph(val width: Int, val height: Int, val argb: IntArray) {
    init {
        require(width > 0 && height > 0 && argb.size == width * height) {
            "a photograph of ${width}x$height needs ${width.toLong() * height} pixels, got ${argb.size}"
        }
    }
}

/** The probability of each pixel of the photograph to belong to the object. */
interface ObjectMask {
    val width: Int
    val height: Int

    /** The mask as the file gave it, to be handed back with the next tap; null where it takes none. */
    val given: ByteArray? get() = null

    /** Writes row [y] to the first [width] places of [into]: 0 to 1, object from 0.5 on. */
    fun row(y: Int, into: FloatArray)
}

/** Photograph + taps -> mask. One thread at a time; not the main thread. */
interface Segmenter : AutoCloseable {
    /** What the model really runs on, and why if that is not what was asked for. */
    val runsOn: String

    /** Taps that one answer takes, at most. */
    val maxTaps: Int

    /** Whether it takes boxes, extreme points, drags, and its answer to the taps before. */
    val takesGestures: Boolean get() = false

    fun setPhotograph(photograph: Photograph)

    /** The object under [taps]; at least one must be on it. */
    fun segment(taps: List<Tap>): ObjectMask

    /**
     * The object that [gesture] means. [previous] is the answer to the same gesture without its last
     * tap; without it the file starts from nothing.
     */
    fun segment(gesture: Gesture, previous: ObjectMask? = null): ObjectMask {
        require(gesture.bounds.isEmpty() && gesture.drag == null) { "the model knows taps alone" }
        return segment(gesture.taps)
    }
}

/** A file of the interface `points`: image + points -> mask; see the README for the tensors. */
interface TapModel : AutoCloseable {
    val runsOn: String
    val size: Int
    val maxPoints: Int

    /** Whether the file takes the mask answered before, as those of gestures do. */
    val takesPrevious: Boolean

    /**
     * [image]: size * size * 3 bytes RGB; [points]: maxPoints * 3; [previous]: size * size bytes where
     * it takes them, else null; returns size * size bytes.
     */
    fun run(image: ByteArray, points: FloatArray, previous: ByteArray?): ByteArray
}

class TapSegmenter(private val model: TapModel) : Segmenter, AutoCloseable by model {
    private var photograph: Photograph? = null
    private var image = ByteArray(0) // stays from tap to tap

    override val runsOn get() = model.runsOn
    override val maxTaps get() = model.maxPoints

    override fun setPhotograph(photograph: Photograph) {
        image = TapTensors.image(photograph, model.size)
        this.photograph = photograph
    }

    override val takesGestures get() = model.takesPrevious

    override fun segment(taps: List<Tap>): ObjectMask = segment(Gesture(taps), null)

    override fun segment(gesture: Gesture, previous: ObjectMask?): ObjectMask {
        val whole = checkNotNull(photograph) { "no photograph yet" }
        require(takesGestures || gesture.bounds.isEmpty() && gesture.drag == null) {
            "the model knows taps alone"
        }
        TapTensors.check(gesture.taps, whole.width, whole.height)
        val before = if (takesGestures) previous?.given ?: ByteArray(model.size * model.size) else null
        if (gesture.bounds.isEmpty()) {
            val points = TapTensors.points(
                gesture.rows(), whole.width, whole.height, model.size, model.maxPoints)
            return FrameMask(model.run(image, points, before), model.size, whole.width, whole.height)
        }
        val window = Window.around(gesture, whole.width, whole.height)
        val part = if (previous == null || gesture.taps.isEmpty()) before else {
            val old = Window.around(gesture.copy(taps = gesture.taps.dropLast(1)), whole.width, whole.height)
            before?.let { window.moved(it, model.size, old, whole.width, whole.height) }
        }
        val shown = window.crop(whole)
        val rows = gesture.rows().map { it.copy(x = it.x - window.left, y = it.y - window.top) }
        val points = TapTensors.points(rows, shown.width, shown.height, model.size, model.maxPoints)
        val mask = model.run(TapTensors.image(shown, model.size), points, part)
        val answer = FrameMask(mask, model.size, shown.width, shown.height)
        return PastedMask(answer, window, whole.width, whole.height)
    }
}

/** The part of a photograph that is shown to the network, ends excluded. */
private data class Window(val left: Int, val top: Int, val right: Int, val bottom: Int) {
    fun crop(p: Photograph): Photograph {
        val width = right - left
        val part = IntArray(width * (bottom - top))
        for (y in top until bottom) {
            p.argb.copyInto(part, (y - top) * width, y * p.width + left, y * p.width + right)
        }
        return Photograph(width, bottom - top, part)
    }

    /** [mask], which a file gave in the window [before] of a photograph, in the frame of this one. */
    fun moved(mask: ByteArray, size: Int, before: Window, width: Int, height: Int): ByteArray {
        if (before == this) return mask
        val old = FrameMask(mask, size, before.right - before.left, before.bottom - before.top)
        val whole = PastedMask(old, before, width, height)
        val columns = right - left
        val line = FloatArray(width)
        val part = FloatArray(columns * (bottom - top))
        for (y in top until bottom) {
            whole.row(y, line)
            line.copyInto(part, (y - top) * columns, left, right)
        }
        val now = FloatsMask(part, columns, bottom - top, size)
        val out = ByteArray(size * size)
        val row = FloatArray(size)
        for (y in 0 until size) {
            now.row(y, row)
            for (x in 0 until size) out[y * size + x] = min(round(row[x] * 256f), 255f).toInt().toByte()
        }
        return out
    }

    companion object {
        private const val MARGIN = 0.1 // of the box's longer side, shown around it

        /** Around corners, extreme points and taps on the object, as `window_around` in Python. */
        fun around(gesture: Gesture, width: Int, height: Int): Window {
            val taps = gesture.taps.filter { it.onObject }.map { Place(it.x, it.y) }
            val xs = (gesture.bounds + taps).map { it.x }
            val ys = (gesture.bounds + taps).map { it.y }
            val room = MARGIN * max(xs.max() - xs.min(), ys.max() - ys.min())
            val left = max(0.0, floor(xs.min() - room)).toInt()
            val top = max(0.0, floor(ys.min() - room)).toInt()
            val right = min(width.toDouble(), ceil(xs.max() + room) + 1).toInt()
            val bottom = min(height.toDouble(), ceil(ys.max() + room) + 1).toInt()
            require(right - left >= 1 && bottom - top >= 1) {
                "the box lies outside the photograph of ${width}x$height"
            }
            return Window(left, top, right, bottom)
        }
    }
}

object TapTensors {
    /**
     * The photograph as the tensor `image`: [size] * [size] * 3 bytes RGB. Both axes are scaled on
     * their own, by area when both shrink, else linearly: OpenCV's INTER_AREA and INTER_LINEAR.
     */
    fun image(photograph: Photograph, size: Int): ByteArray = when {
        photograph.width == size && photograph.height == size -> bytes(photograph)
        size >= min(photograph.width, photograph.height) -> linear(photograph, size)
        photograph.width % size == 0 && photograph.height % size == 0 -> blocks(photograph, size)
        else -> area(photograph, size)
    }

    /** Refuses taps outside a photograph. */
    fun check(taps: List<Tap>, width: Int, height: Int) = taps.forEach { tap ->
        require(tap.x in -0.5..width - 0.5 && tap.y in -0.5..height - 0.5) {
            "the tap ${tap.x}, ${tap.y} is outside the photograph of ${width}x$height"
        }
    }

    /** The tensor `points`: rows of x, y in the frame and label; unused rows are 0, 0, -1. */
    fun points(rows: List<Row>, width: Int, height: Int, size: Int, maxPoints: Int): FloatArray {
        require(rows.size <= maxPoints) { "${rows.size} taps, but the model takes $maxPoints" }
        val points = FloatArray(maxPoints * 3) { if (it % 3 == 2) Gesture.UNUSED.toFloat() else 0f }
        rows.forEachIndexed { i, row ->
            points[3 * i] = ((row.x + 0.5) * size / width - 0.5).toFloat()
            points[3 * i + 1] = ((row.y + 0.5) * size / height - 0.5).toFloat()
            points[3 * i + 2] = row.label.toFloat()
        }
        return points
    }

    /** The photograph turned as its EXIF orientation, 1 to 8, says; anything else leaves it. */
    fun upright(stored: Photograph, orientation: Int): Photograph {
        val (w, h, from) = Triple(stored.width, stored.height, stored.argb)
        if (orientation !in 2..8) return stored
        val swaps = orientation >= 5
        val (width, height) = if (swaps) h to w else w to h
        val mirrorX = orientation in setOf(2, 3, 7, 8) // in the stored picture's axes
        val mirrorY = orientation in setOf(3, 4, 6, 7)
        val to = IntArray(from.size)
        for (y in 0 until height) for (x in 0 until width) {
            val column = if (swaps) y else x
            val row = if (swaps) x else y
            to[y * width + x] =
                from[(if (mirrorY) h - 1 - row else row) * w + if (mirrorX) w - 1 - column else column]
        }
        return Photograph(width, height, to)
    }

    /** The photograph's colours; alpha is 255 on the object and [outside] elsewhere. */
    fun cutout(photograph: Photograph, mask: ObjectMask, outside: Int = 0): IntArray {
        val pixels = IntArray(photograph.argb.size)
        val row = FloatArray(mask.width)
        for (y in 0 until mask.height) {
            mask.row(y, row)
            for (x in 0 until mask.width) {
                val i = y * mask.width + x
                val alpha = if (row[x] >= 0.5f) 255 else outside
                pixels[i] = photograph.argb[i] and 0xFFFFFF or (alpha shl 24)
            }
        }
        return pixels
    }

    private fun bytes(p: Photograph) =
        ByteArray(p.argb.size * 3) { channel(p.argb[it / 3], it % 3).toByte() }

    private fun channel(argb: Int, c: Int) = argb shr (16 - 8 * c) and 255

    private fun fixed(weight: Float) = round(weight * 2048f).toInt() // ties to even

    // OpenCV's fixed point: 11 bits a weight, columns first, each product shifted on its own.
    private fun linear(p: Photograph, size: Int): ByteArray {
        val columns = LinearTable(p.width, size, stopAtEdge = true)
        val rows = LinearTable(p.height, size, stopAtEdge = false)
        val left = IntArray(size) { fixed(1f - columns.weight[it]) }
        val right = IntArray(size) { fixed(columns.weight[it]) }
        var (above, below) = IntArray(size * 3) to IntArray(size * 3)
        var (aboveIs, belowIs) = -1 to -1
        val out = ByteArray(size * size * 3)
        fun stretch(y: Int, into: IntArray) {
            for (x in 0 until size) {
                val a = p.argb[y * p.width + columns.first[x]]
                val b = p.argb[y * p.width + columns.second[x]]
                for (c in 0..2) into[3 * x + c] = channel(a, c) * left[x] + channel(b, c) * right[x]
            }
        }
        for (y in 0 until size) {
            if (rows.first[y] == belowIs) {
                above = below.also { below = above }
                aboveIs = belowIs.also { belowIs = aboveIs }
            }
            if (rows.first[y] != aboveIs) stretch(rows.first[y].also { aboveIs = it }, above)
            if (rows.second[y] != belowIs) stretch(rows.second[y].also { belowIs = it }, below)
            val upper = fixed(1f - rows.weight[y])
            val lower = fixed(rows.weight[y])
            for (i in 0 until size * 3) {
                val sum = (upper * (above[i] shr 4) shr 16) + (lower * (below[i] shr 4) shr 16)
                out[y * size * 3 + i] = (sum + 2 shr 2).toByte()
            }
        }
        return out
    }

    // Whole blocks of pixels: their mean.
    private fun blocks(p: Photograph, size: Int): ByteArray {
        val (sx, sy) = p.width / size to p.height / size
        val scale = 1f / (sx * sy)
        return ByteArray(size * size * 3) { i ->
            val (x, y) = i / 3 % size to i / 3 / size
            var sum = 0
            for (j in y * sy until (y + 1) * sy) for (k in x * sx until (x + 1) * sx) {
                sum += channel(p.argb[j * p.width + k], i % 3)
            }
            (if (sx == 2 && sy == 2) sum + 2 shr 2 else round(sum * scale).toInt()).toByte()
        }
    }

    // Every source pixel counts by the share of it that lies in the cell; float32 sums in this order.
    private fun area(p: Photograph, size: Int): ByteArray {
        val columns = AreaTable(p.width, size)
        val rows = AreaTable(p.height, size)
        val line = FloatArray(size * 3)
        val sum = FloatArray(size * 3)
        val out = ByteArray(size * size * 3)
        for (y in 0 until size) {
            sum.fill(0f)
            for (k in rows.start[y] until rows.start[y + 1]) {
                line.fill(0f)
                val at = rows.source[k] * p.width
                for (x in 0 until size) {
                    var r = 0f
                    var g = 0f
                    var b = 0f
                    for (j in columns.start[x] until columns.start[x + 1]) {
                        val argb = p.argb[at + columns.source[j]]
                        val share = columns.share[j]
                        r += (argb shr 16 and 255) * share
                        g += (argb shr 8 and 255) * share
                        b += (argb and 255) * share
                    }
                    line[3 * x] = r
                    line[3 * x + 1] = g
                    line[3 * x + 2] = b
                }
                for (i in line.indices) sum[i] += rows.share[k] * line[i]
            }
            for (i in sum.indices) {
                out[y * size * 3 + i] = round(sum[i]).toInt().coerceIn(0, 255).toByte()
            }
        }
        return out
    }
}

/** A grid of probabilities, [columns] x [rows] of them, read at another size: INTER_LINEAR. */
private abstract class LinearMask(
    columns: Int, rows: Int, final override val width: Int, final override val height: Int,
) : ObjectMask {
    private val columns = LinearTable(columns, width, stopAtEdge = true)
    private val rows = LinearTable(rows, height, stopAtEdge = false)

    abstract fun probability(row: Int, column: Int): Float

    override fun row(y: Int, into: FloatArray) {
        val below = rows.weight[y]
        for (x in 0 until width) {
            val upper = between(rows.first[y], x) * (1f - below)
            into[x] = upper + between(rows.second[y], x) * below
        }
    }

    private fun between(row: Int, x: Int): Float {
        val right = columns.weight[x]
        val left = probability(row, columns.first[x]) * (1f - right)
        return left + probability(row, columns.second[x]) * right
    }
}

/** The network's mask, [given] 256 p of the square frame, read at the photograph's size. */
private class FrameMask(
    override val given: ByteArray, private val size: Int, width: Int, height: Int,
) : LinearMask(size, size, width, height) {
    override fun probability(row: Int, column: Int) = (given[row * size + column].toInt() and 255) / 256f
}

/** Probabilities of [columns] x [rows] places, read in a square of [size]. */
private class FloatsMask(
    private val values: FloatArray, private val columns: Int, rows: Int, size: Int,
) : LinearMask(columns, rows, size, size) {
    override fun probability(row: Int, column: Int) = values[row * columns + column]
}

/** The mask of a part of the photograph; 0 around it. */
private class PastedMask(
    private val part: ObjectMask,
    private val window: Window,
    override val width: Int,
    override val height: Int,
) : ObjectMask {
    private val line = FloatArray(part.width)
    override val given get() = part.given

    override fun row(y: Int, into: FloatArray) {
        into.fill(0f, 0, width)
        if (y !in window.top until window.bottom) return
        part.row(y - window.top, line)
        line.copyInto(into, window.left)
    }
}

/** For each of [to] places, the two of [from] that it lies between, and the second one's weight. */
private class LinearTable(from: Int, to: Int, stopAtEdge: Boolean) {
    val first = IntArray(to)
    val second = IntArray(to)
    val weight = FloatArray(to)

    init {
        val scale = 1.0 / (to.toDouble() / from)
        for (i in 0 until to) {
            val place = ((i + 0.5) * scale - 0.5).toFloat()
            val before = floor(place).toInt()
            first[i] = before.coerceIn(0, from - 1)
            second[i] = (before + 1).coerceIn(0, from - 1)
            // beyond the first or last centre: OpenCV sets the weight to 0 along rows, not down columns
            val outside = before < 0 || before >= from - 1
            weight[i] = if (stopAtEdge && outside) 0f else place - before
        }
    }
}

/** For each of [to] cells, the places of [from] in it, start[i] until start[i + 1], and their shares. */
private class AreaTable(from: Int, to: Int) {
    val start = IntArray(to + 1)
    val source: IntArray
    val share: FloatArray

    init {
        val scale = 1.0 / (to.toDouble() / from)
        val places = ArrayList<Int>(from + 2 * to)
        val shares = ArrayList<Float>(from + 2 * to)
        for (i in 0 until to) {
            val begin = i * scale
            val end = begin + scale
            val width = min(scale, from - begin)
            val last = min(floor(end).toInt(), from - 1)
            val first = min(ceil(begin).toInt(), last)
            fun add(place: Int, part: Double) = places.add(place).also { shares.add(part.toFloat()) }
            if (first - begin > 1e-3) add(first - 1, (first - begin) / width)
            for (place in first until last) add(place, 1.0 / width)
            if (end - last > 1e-3) add(last, min(min(end - last, 1.0), width) / width)
            start[i + 1] = places.size
        }
        source = places.toIntArray()
        share = shares.toFloatArray()
    }
}
