package oace.android

import kotlin.math.floor
import kotlin.math.hypot

/** A tap in pixels of the upright photograph; pixel centres are whole numbers. */
data class Tap(val x: Double, val y: Double, val onObject: Boolean = true)

/** A place in pixels of the upright photograph. */
data class Place(val x: Double, val y: Double)

/** A row of `points`: a place and its label. */
data class Row(val x: Double, val y: Double, val label: Int)

/** What a gesture is made of; [word] is its name in the metadata of a file. */
enum class Kind(val word: String) {
    TAP("tap"), BACKGROUND("background"), BOX("box"), EXTREME("extreme"), DRAG("drag")
}

/**
 * What a person does on a photograph: taps, two opposite corners of a box around the object, its
 * leftmost, rightmost, top and bottom point ([extreme]), a drag from its middle to its nearest edge
 * (from, to). Any mixture, as long as something says which object is meant. As in
 * oace_tf/gestures.py.
 */
data class Gesture(
    val taps: List<Tap> = listOf(),
    val box: Pair<Place, Place>? = null,
    val extreme: List<Place> = listOf(),
    val drag: Pair<Place, Place>? = null,
) {
    init {
        require(extreme.isEmpty() || extreme.size == 4) {
            "${extreme.size} extreme points; give four: leftmost, rightmost, top and bottom of the object"
        }
        require(box != null || extreme.isNotEmpty() || drag != null || taps.any { it.onObject }) {
            "nothing says which object is meant; give a tap on it, a box, four extreme points or a drag"
        }
        require(rows().all { it.x.isFinite() && it.y.isFinite() }) {
            "a gesture holds a number that is not finite"
        }
    }

    /** The gesture as rows of `points`, in pixels of the photograph. */
    fun rows(): List<Row> = buildList {
        drag?.let { (from, to) -> add(Row(from.x, from.y, OBJECT)).also { add(Row(to.x, to.y, RELEASE)) } }
        box?.let { (from, to) -> add(Row(from.x, from.y, CORNER)).also { add(Row(to.x, to.y, OPPOSITE)) } }
        extreme.forEach { add(Row(it.x, it.y, EXTREME)) }
        taps.forEach { add(Row(it.x, it.y, if (it.onObject) OBJECT else BACKGROUND)) }
    }

    /** What it is made of. */
    val kinds: Set<Kind> get() = buildSet {
        taps.forEach { add(if (it.onObject) Kind.TAP else Kind.BACKGROUND) }
        if (box != null) add(Kind.BOX)
        if (extreme.isNotEmpty()) add(Kind.EXTREME)
        if (drag != null) add(Kind.DRAG)
    }

    /** The corners and extreme points; none where nothing bounds the object. */
    val bounds: List<Place> get() = (box?.toList() ?: listOf()) + extreme

    /** The taps, and the beginning of a drag, which is one on the object. */
    val allTaps: List<Tap> get() = listOfNotNull(drag?.first?.let { Tap(it.x, it.y) }) + taps

    companion object {
        const val UNUSED = -1
        const val BACKGROUND = 0
        const val OBJECT = 1
        const val CORNER = 2
        const val OPPOSITE = 3
        const val EXTREME = 4
        const val RELEASE = 5
        private const val SCRIBBLE_STEP = 0.02 // of the photograph's diagonal, between two taps
        private const val WIDER = 1.02 // what makes too many taps fewer

        /**
         * The taps along a stroke on a photograph of [width] x [height]: evenly, both ends included,
         * 2 % of the diagonal apart or as far apart as [most] makes it. A short stroke gives its middle.
         */
        fun scribble(
            stroke: List<Place>, width: Int, height: Int, onObject: Boolean = true, most: Int = Int.MAX_VALUE,
        ): List<Tap> {
            require(stroke.isNotEmpty() && most > 0) {
                "a scribble needs a place and room for one tap; leave taps out"
            }
            val along = DoubleArray(stroke.size)
            for (k in 1 until stroke.size) {
                along[k] = along[k - 1] + hypot(stroke[k].x - stroke[k - 1].x, stroke[k].y - stroke[k - 1].y)
            }
            val length = along.last()
            var step = SCRIBBLE_STEP * hypot(width.toDouble(), height.toDouble())
            while (1 + floor(length / step) > most) step *= WIDER
            val count = 1 + (length / step).toInt()
            return List(count) { k ->
                val wanted = when {
                    count == 1 -> length / 2
                    k == count - 1 -> length
                    else -> k * (length / (count - 1))
                }
                at(stroke, along, wanted).let { Tap(it.x, it.y, onObject) }
            }
        }

        /** The place [wanted] pixels from the beginning of a stroke, whose places are [along] it. */
        private fun at(stroke: List<Place>, along: DoubleArray, wanted: Double): Place {
            val next = along.indexOfFirst { it > wanted }
            if (next < 0) return stroke.last()
            val (a, b) = stroke[next - 1] to stroke[next]
            val (before, length) = along[next - 1] to along[next] - along[next - 1]
            if (wanted == before) return a
            return Place(
                (b.x - a.x) / length * (wanted - before) + a.x, (b.y - a.y) / length * (wanted - before) + a.y)
        }
    }
}
