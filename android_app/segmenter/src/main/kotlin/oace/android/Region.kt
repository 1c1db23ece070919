package oace.android

import kotlin.math.floor
import kotlin.math.max
import kotlin.math.min
import kotlin.math.round

/**
 * The pixels of an object, kept as runs along the rows: a mask of twelve megapixels has some
 * thousand. Tidied as in oace_tf/pieces.py, pixel for pixel.
 *
 * Run k goes from [starts] to [ends], which is excluded; those of row y are [first] of y until that
 * of y + 1, from left to right, with a gap between any two.
 */
class Region private constructor(
    val width: Int, val height: Int,
    private val first: IntArray, private val starts: IntArray, private val ends: IntArray,
) {
    /** How many pixels belong to it. */
    val area: Int get() = starts.indices.sumOf { ends[it] - starts[it] }

    /** Its leftmost and uppermost, rightmost and lowest pixel as two places; null where it is empty. */
    internal val corners: Pair<Place, Place>? get() {
        if (starts.isEmpty()) return null
        val top = (0 until height).first { first[it + 1] > 0 }
        val bottom = (0 until height).last { first[it] < starts.size }
        return Place(starts.min().toDouble(), top.toDouble()) to Place(ends.max() - 1.0, bottom.toDouble())
    }

    /** Writes row [y] to the first [width] places of [into]. */
    fun row(y: Int, into: BooleanArray) {
        into.fill(false, 0, width)
        for (k in first[y] until first[y + 1]) into.fill(true, starts[k], ends[k])
    }

    /**
     * The region as people expect it: in one piece under their tap, without small holes.
     *
     * A piece (8-connected) stays where an object tap lies in it. Where none lies in any piece, those
     * within a finger's width of a tap stay, else the largest one and those of 30 % of it. Then holes
     * (4-connected, not at the border) of less than 5 % of the region are filled, except where a
     * background tap lies in them.
     */
    fun tidy(taps: List<Tap>): Region {
        if (starts.isEmpty()) return this
        val pieces = Pieces(diagonal = true)
        val (onObject, others) = taps.partition { it.onObject }
        val finger = FINGER * max(width, height)
        var kept = pieces.near(onObject, 0.0).ifEmpty { pieces.near(onObject, finger) }
        if (kept.isEmpty()) {
            val least = LEAST_PIECE * pieces.areas.values.max()
            kept = pieces.areas.filterValues { it >= least }.keys
        }
        val whole = if (kept.size == pieces.areas.size) this else build(width, height) { y, add ->
            for (k in first[y] until first[y + 1]) if (pieces.of(k) in kept) add(starts[k], ends[k])
        }
        return whole.filled(others)
    }

    private fun filled(background: List<Tap>): Region {
        val rest = complement()
        val parts = rest.Pieces(diagonal = false)
        val least = LEAST_HOLE * area
        val holes = parts.areas.filterValues { it < least }.keys - rest.atBorder(parts) -
            parts.near(background, 0.0)
        if (holes.isEmpty()) return this
        return build(width, height) { y, add ->
            // runs and gaps in turn; a filled gap joins what lies around it
            var start = -1
            var end = -1
            var gap = rest.first[y]
            for (k in first[y] until first[y + 1]) {
                while (gap < rest.first[y + 1] && rest.ends[gap] < starts[k]) gap++
                val joined = end >= 0 && gap < rest.first[y + 1] && rest.ends[gap] == starts[k] &&
                    parts.of(gap) in holes
                if (!joined) {
                    if (end >= 0) add(start, end)
                    start = starts[k]
                }
                end = ends[k]
            }
            if (end >= 0) add(start, end)
        }
    }

    private fun complement() = build(width, height) { y, add ->
        var end = 0
        for (k in first[y] until first[y + 1]) {
            if (starts[k] > end) add(end, starts[k])
            end = ends[k]
        }
        if (end < width) add(end, width)
    }

    private fun atBorder(parts: Pieces): Set<Int> = buildSet {
        for (y in 0 until height) for (k in first[y] until first[y + 1]) {
            if (y == 0 || y == height - 1 || starts[k] == 0 || ends[k] == width) add(parts.of(k))
        }
    }

    /** Its connected parts, each named by one of its runs. */
    private inner class Pieces(diagonal: Boolean) {
        private val parent = IntArray(starts.size) { it }
        val areas = HashMap<Int, Int>()

        init {
            val reach = if (diagonal) 1 else 0
            for (y in 1 until height) {
                var above = first[y - 1]
                for (k in first[y] until first[y + 1]) {
                    while (above < first[y] && ends[above] + reach <= starts[k]) above++
                    var other = above
                    while (other < first[y] && starts[other] < ends[k] + reach) join(other++, k)
                }
            }
            for (k in starts.indices) areas.merge(of(k), ends[k] - starts[k], Int::plus)
        }

        fun of(run: Int): Int {
            var root = run
            while (parent[root] != root) {
                parent[root] = parent[parent[root]]
                root = parent[root]
            }
            return root
        }

        private fun join(one: Int, other: Int) {
            val (a, b) = of(one) to of(other)
            parent[max(a, b)] = min(a, b)
        }

        /** The pieces with a pixel within [radius] of a tap; with 0, those under a tap. */
        fun near(taps: List<Tap>, radius: Double): Set<Int> = buildSet {
            for (tap in taps) {
                val row = round(tap.y).toInt().coerceIn(0, height - 1)
                val column = round(tap.x).toInt().coerceIn(0, width - 1)
                val reach = floor(radius).toInt()
                for (dy in -reach..reach) {
                    val y = row + dy
                    if (y !in 0 until height) continue
                    // the widest place of the disk in this row
                    var across = reach
                    while (across.toLong() * across + dy.toLong() * dy > radius * radius) across--
                    for (k in first[y] until first[y + 1]) {
                        if (starts[k] <= column + across && ends[k] > column - across) add(of(k))
                    }
                }
            }
        }
    }

    companion object {
        private const val LEAST_HOLE = 0.05 // of the region's own area: smaller holes are filled
        private const val LEAST_PIECE = 0.3 // of the largest piece
        private const val FINGER = 5.0 / 512 // of the longer side: a tap beside a piece still holds it

        /** Where [mask] is at least one half. */
        fun of(mask: ObjectMask): Region {
            val line = FloatArray(mask.width)
            return build(mask.width, mask.height) { y, add ->
                mask.row(y, line)
                var x = 0
                while (x < mask.width) {
                    while (x < mask.width && line[x] < 0.5f) x++
                    val start = x
                    while (x < mask.width && line[x] >= 0.5f) x++
                    if (x > start) add(start, x)
                }
            }
        }

        private fun build(width: Int, height: Int, runs: (Int, (Int, Int) -> Unit) -> Unit): Region {
            val first = IntArray(height + 1)
            var starts = IntArray(2 * height)
            var ends = IntArray(2 * height)
            var count = 0
            for (y in 0 until height) {
                first[y] = count
                runs(y) { start, end ->
                    if (count == starts.size) {
                        starts = starts.copyOf(2 * count)
                        ends = ends.copyOf(2 * count)
                    }
                    starts[count] = start
                    ends[count++] = end
                }
            }
            first[height] = count
            return Region(width, height, first, starts.copyOf(count), ends.copyOf(count))
        }
    }
}
