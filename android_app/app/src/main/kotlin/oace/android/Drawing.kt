package oace.android

import kotlin.math.max

/** How a finger draws; [kind] is what the file must know for it. */
enum class Mode(val kind: Kind) {
    TAP(Kind.TAP), SCRIBBLE(Kind.TAP), BOX(Kind.BOX), EXTREME(Kind.EXTREME), DRAG(Kind.DRAG);

    /** Whether it is drawn with a moving finger. */
    val strokes get() = this == SCRIBBLE || this == BOX || this == DRAG

    companion object {
        /** What a person can choose from. */
        fun of(segmenter: Segmenter) =
            if (segmenter.maxRows == 1) listOf(TAP) else entries.filter { it.kind in segmenter.kinds }
    }
}

/** What one movement of the finger adds, in pixels of the photograph. */
sealed interface Step {
    /** A tap, or those of a scribble. */
    data class Taps(val taps: List<Tap>) : Step

    data class Box(val from: Place, val to: Place) : Step

    data class Drag(val from: Place, val to: Place) : Step

    /** One to four points on the outline. */
    data class Extreme(val points: List<Place>) : Step

    companion object {
        const val FOUR = 4 // leftmost, rightmost, top and bottom
    }
}

/** What was drawn on a photograph, step by step. No Android here: tests run it on a plain JVM. */
data class Drawing(val steps: List<Step> = listOf()) {
    val box: Step.Box? get() = steps.filterIsInstance<Step.Box>().lastOrNull()
    val drag: Step.Drag? get() = steps.filterIsInstance<Step.Drag>().lastOrNull()
    val extreme: List<Place> get() = steps.filterIsInstance<Step.Extreme>().lastOrNull()?.points.orEmpty()
    val taps: List<Tap> get() = steps.filterIsInstance<Step.Taps>().flatMap { it.taps }

    /** What it means: the newest box, drag and four points, all taps; null where nothing means an object. */
    val gesture: Gesture? get() {
        val four = extreme.takeIf { it.size == Step.FOUR }.orEmpty()
        val meant = box != null || drag != null || four.isNotEmpty() || taps.any { it.onObject }
        return if (meant) Gesture(taps, box?.run { from to to }, four, drag?.run { from to to }) else null
    }

    /** The drawing whose answer the file is shown with this one's taps; null where it starts anew. */
    val before: Drawing? get() = undone().takeIf { steps.lastOrNull() is Step.Taps && it.gesture != null }

    /** A point on the outline goes to those before it, until there are four. */
    operator fun plus(step: Step): Drawing {
        val last = steps.lastOrNull()
        val joins = step is Step.Extreme && last is Step.Extreme && last.points.size < Step.FOUR
        return if (!joins) Drawing(steps + step) else {
            Drawing(steps.dropLast(1) + Step.Extreme(last.points + step.points))
        }
    }

    /** Without the last movement of the finger. */
    fun undone(): Drawing {
        val last = steps.lastOrNull()
        val fewer = if (last is Step.Extreme) last.points.dropLast(1) else listOf()
        return Drawing(steps.dropLast(1) + if (fewer.isEmpty()) listOf() else listOf(Step.Extreme(fewer)))
    }

    /** How many rows more it may have, of [most]. */
    fun room(most: Int) = max(0, most - (gesture?.rows()?.size ?: taps.size))
}
