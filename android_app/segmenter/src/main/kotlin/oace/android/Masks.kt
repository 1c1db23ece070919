package oace.android

import kotlin.math.ceil
import kotlin.math.floor
import kotlin.math.max
import kotlin.math.min
import kotlin.math.round

/** A mask as the file gave it: 256 p, and the part of the photograph that it is of. */
class Given internal constructor(val bytes: ByteArray, internal val window: Window)

/** A grid of probabilities, [columns] x [rows] of them, read at another size: INTER_LINEAR. */
internal abstract class LinearMask(
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

/** The network's mask, [bytes] 256 p of the square frame, read at another size. */
internal class FrameMask(
    private val bytes: ByteArray, private val size: Int, width: Int, height: Int,
) : LinearMask(size, size, width, height) {
    override fun probability(row: Int, column: Int) = (bytes[row * size + column].toInt() and 255) / 256f
}

/** Probabilities of [columns] x [rows] places, read in a square of [size]. */
internal class FloatsMask(
    private val values: FloatArray, private val columns: Int, rows: Int, size: Int,
) : LinearMask(columns, rows, size, size) {
    override fun probability(row: Int, column: Int) = values[row * columns + column]
}

/** What a file gave of a part of the photograph, at the photograph's size; 0 around the part. */
internal class WindowMask(
    override val given: Given, size: Int, override val width: Int, override val height: Int,
) : ObjectMask {
    private val window = given.window
    private val part = FrameMask(given.bytes, size, window.width, window.height)
    private val line = FloatArray(window.width)

    override fun row(y: Int, into: FloatArray) {
        into.fill(0f, 0, width)
        if (y !in window.top until window.bottom) return
        part.row(y - window.top, line)
        line.copyInto(into, window.left)
    }
}

/** The mean of two masks of a photograph. The [first] is the one to be handed back. */
internal class MeanMask(private val first: ObjectMask, private val second: ObjectMask) : ObjectMask {
    override val width get() = first.width
    override val height get() = first.height
    override val given get() = first.given
    private val line = FloatArray(width)

    override fun row(y: Int, into: FloatArray) {
        first.row(y, into)
        second.row(y, line)
        for (x in 0 until width) into[x] = (into[x] + line[x]) / 2f
    }
}

/** The mask with its region tidied around [taps], see [Region.tidy]. */
fun ObjectMask.tidied(taps: List<Tap>): ObjectMask = TidyMask(this, taps)

private class TidyMask(mask: ObjectMask, taps: List<Tap>) : ObjectMask by mask {
    override val region by lazy(LazyThreadSafetyMode.NONE) { Region.of(mask).tidy(taps) }
}

/** The part of a photograph that is shown to the network, ends excluded. */
internal data class Window(val left: Int, val top: Int, val right: Int, val bottom: Int) {
    val width get() = right - left
    val height get() = bottom - top

    fun crop(p: Photograph): Photograph {
        val part = IntArray(width * height)
        for (y in top until bottom) {
            p.argb.copyInto(part, (y - top) * width, y * p.width + left, y * p.width + right)
        }
        return Photograph(width, height, part)
    }

    /** The mask that a file gave in another window of a photograph, in the frame of this one. */
    fun moved(before: Given, size: Int, photographWidth: Int, photographHeight: Int): ByteArray {
        if (before.window == this) return before.bytes
        val whole = WindowMask(before, size, photographWidth, photographHeight)
        val line = FloatArray(photographWidth)
        val part = FloatArray(width * height)
        for (y in top until bottom) {
            whole.row(y, line)
            line.copyInto(part, (y - top) * width, left, right)
        }
        val now = FloatsMask(part, width, height, size)
        val out = ByteArray(size * size)
        val row = FloatArray(size)
        for (y in 0 until size) {
            now.row(y, row)
            for (x in 0 until size) out[y * size + x] = min(round(row[x] * 256f), 255f).toInt().toByte()
        }
        return out
    }

    companion object {
        private const val MARGIN = 0.3 // of the box's longer side, shown around it
        // of the photograph: a smaller object gets a second look, with this margin around it
        private const val SMALL_SHARE = 0.02
        private const val SMALL_MARGIN = 0.25
        private const val LEAST_PART = 0.08 // of the photograph's longer side: no part is smaller

        /** Around corners, extreme points and taps on the object; without the first two, all of it. */
        fun around(gesture: Gesture, width: Int, height: Int): Window {
            if (gesture.bounds.isEmpty()) return Window(0, 0, width, height)
            return around(gesture.bounds + tapped(gesture), width, height, MARGIN)
        }

        /**
         * Around the small object [region], the first answer, tidied, that taps or a drag gave; null where
         * it is large, empty, or bounded by the gesture. As around_small of oace_tf/looks.py.
         */
        fun aroundSmall(region: Region, gesture: Gesture): Window? {
            val (width, height) = region.width to region.height
            val corners = region.corners ?: return null
            val large = region.area >= SMALL_SHARE * (width.toLong() * height)
            if (large || gesture.bounds.isNotEmpty()) return null
            val places = corners.toList() + tapped(gesture) + (gesture.drag?.toList() ?: listOf())
            val x = (places.minOf { it.x } + places.maxOf { it.x }) / 2
            val y = (places.minOf { it.y } + places.maxOf { it.y }) / 2
            val half = LEAST_PART * max(width, height) / 2
            val least = listOf(Place(x - half, y - half), Place(x + half, y + half))
            return around(places + least, width, height, SMALL_MARGIN)
        }

        private fun tapped(gesture: Gesture) = gesture.taps.filter { it.onObject }.map { Place(it.x, it.y) }

        /** Around [places], with [margin] of the longer side of what holds them on each side. */
        private fun around(places: List<Place>, width: Int, height: Int, margin: Double): Window {
            val xs = places.map { it.x }
            val ys = places.map { it.y }
            val room = margin * max(xs.max() - xs.min(), ys.max() - ys.min())
            val left = max(0.0, floor(xs.min() - room)).toInt()
            val top = max(0.0, floor(ys.min() - room)).toInt()
            val right = min(width.toDouble(), ceil(xs.max() + room) + 1).toInt()
            val bottom = min(height.toDouble(), ceil(ys.max() + room) + 1).toInt()
            require(right - left >= 1 && bottom - top >= 1) {
                "the box lies outside the photograph of ${width}x$height; draw it on the photograph"
            }
            return Window(left, top, right, bottom)
        }
    }
}
