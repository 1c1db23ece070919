package oace.android

/*
 * Draws step by step as a finger would, for tests/android_app/test_drawing.py: a line for each drawing,
 * what it means and how many rows more there is room for, of 8.
 */

private fun tap(x: Int, onObject: Boolean = true) = Step.Taps(listOf(Tap(x.toDouble(), 0.0, onObject)))

private fun point(x: Int) = Step.Extreme(listOf(Place(x.toDouble(), 0.0)))

private fun line(drawing: Drawing): String {
    val rows = drawing.gesture?.rows()?.joinToString(" ") { "${it.x.toInt()}:${it.label}" }
    val before = drawing.before?.gesture?.rows()?.joinToString(" ") { "${it.x.toInt()}:${it.label}" }
    return "${rows ?: "nothing"} after ${before ?: "nothing"}, ${drawing.room(8)} left"
}

private class Knows(override val kinds: Set<Kind>, override val maxRows: Int) : Segmenter {
    override val runsOn = ""
    override fun setPhotograph(photograph: Photograph) = Unit
    override fun segment(gesture: Gesture, previous: ObjectMask?) = throw UnsupportedOperationException()
    override fun close() = Unit
}

fun main() {
    val box = Step.Box(Place(1.0, 0.0), Place(9.0, 0.0))
    val steps = listOf(
        tap(3, onObject = false), tap(4), box, tap(5), Step.Box(Place(2.0, 0.0), Place(8.0, 0.0)),
        Step.Drag(Place(6.0, 0.0), Place(7.0, 0.0)))
    var drawing = Drawing()
    for (step in steps) {
        drawing += step
        println(line(drawing))
    }
    while (drawing.steps.isNotEmpty()) {
        drawing = drawing.undone()
        println(line(drawing))
    }
    for (x in 1..5) {
        drawing += point(x)
        println(line(drawing))
    }
    println(line(drawing.undone().undone()))
    println(Mode.of(Knows(setOf(Kind.TAP), 1)))
    println(Mode.of(Knows(setOf(Kind.TAP, Kind.BACKGROUND), 20)))
    println(Mode.of(Knows(Kind.entries.toSet(), 48)))
}
