package oace.android

import kotlin.math.ceil
import kotlin.math.floor
import kotlin.math.min
import kotlin.math.round

/** Photograph and gesture as tensors: the arithmetic of oace_tf/geometry.py, number for number. */
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

    /** The photograph with its transparent parts on a white ground, as the network is shown it. */
    fun onWhite(photograph: Photograph): Photograph {
        if (photograph.argb.all { it ushr 24 == 255 }) return photograph
        return Photograph(photograph.width, photograph.height, IntArray(photograph.argb.size) {
            val argb = photograph.argb[it]
            val alpha = argb ushr 24
            (0..2).fold(255) { sum, c -> sum shl 8 or (channel(argb, c) * alpha + 255 * (255 - alpha) + 127) / 255 }
        })
    }

    /** Refuses taps outside a photograph. */
    fun check(taps: List<Tap>, width: Int, height: Int) = taps.forEach { tap ->
        require(tap.x in -0.5..width - 0.5 && tap.y in -0.5..height - 0.5) {
            "the tap ${tap.x}, ${tap.y} is outside the photograph of ${width}x$height pixels; x runs from 0 " +
                "to ${width - 1}, y from 0 to ${height - 1}"
        }
    }

    /** The tensor `points`: rows of x, y in the frame and label; unused rows are 0, 0, -1. */
    fun points(rows: List<Row>, width: Int, height: Int, size: Int, maxPoints: Int): FloatArray {
        require(rows.size <= maxPoints) { "${rows.size} rows, but the model takes $maxPoints; leave taps out" }
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

    /**
     * The object alone, 0xAARRGGBB: on it the photograph's own colour and alpha, elsewhere its colour
     * with [outside] / 255 of its alpha, and 0 where nothing is left of that.
     */
    fun cutout(photograph: Photograph, mask: ObjectMask, outside: Int = 0): IntArray {
        val pixels = IntArray(photograph.argb.size)
        val region = mask.region
        val row = BooleanArray(mask.width)
        for (y in 0 until mask.height) {
            region.row(y, row)
            for (x in 0 until mask.width) {
                val i = y * mask.width + x
                val own = photograph.argb[i] ushr 24
                val alpha = if (row[x]) own else own * outside / 255
                pixels[i] = if (alpha == 0) 0 else photograph.argb[i] and 0xFFFFFF or (alpha shl 24)
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

/** For each of [to] places, the two of [from] that it lies between, and the second one's weight. */
internal class LinearTable(from: Int, to: Int, stopAtEdge: Boolean) {
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
