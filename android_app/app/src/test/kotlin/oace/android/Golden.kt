package oace.android

import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder

/*
 * Answers the cases of a folder with TapSegmenter.kt, for tests/android_app/test_golden.py, which
 * compares them with Python. `cases.txt` has a line a case: name, width, height as stored, EXIF
 * orientation, side of the frame, rows of `points`, 1 where the model takes the mask before, then
 * x y label for each row of the gesture. NAME.rgb holds the stored pixels, NAME.mask the mask that the
 * model is made to give. Written: NAME.image, NAME.points, NAME.probability (float32, little endian),
 * NAME.cutout (R, G, B, A), NAME.previous, the masks before of two calls, of which the second is given
 * the first one's answer, and refused.txt, what is said to input that makes no sense.
 */

private val RGBA = intArrayOf(16, 8, 0, 24) // bits of 0xAARRGGBB to the right of each

/** A model that keeps what it is given and answers with a recorded mask. */
private class Recorded(
    override val size: Int, override val maxPoints: Int, private val mask: ByteArray,
    override val takesPrevious: Boolean = false,
) : TapModel {
    var previous = ByteArray(0)
    lateinit var image: ByteArray
    lateinit var points: FloatArray
    override val runsOn = "record"

    override fun run(image: ByteArray, points: FloatArray, previous: ByteArray?): ByteArray {
        check((previous != null) == takesPrevious) { "a previous mask where there is none, or the reverse" }
        this.previous += previous ?: ByteArray(0)
        this.image = image
        this.points = points
        return mask
    }

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

private fun answer(folder: File, words: List<String>) {
    val (name, width, height, orientation, size) = words
    val rgb = File(folder, "$name.rgb").readBytes()
    val stored = Photograph(width.toInt(), height.toInt(), IntArray(rgb.size / 3) { i ->
        (0..2).fold(255) { argb, c -> argb shl 8 or (rgb[3 * i + c].toInt() and 255) }
    })
    val photograph = TapTensors.upright(stored, orientation.toInt())
    val rows = words.drop(7).chunked(3) { Row(it[0].toDouble(), it[1].toDouble(), it[2].toInt()) }
    val model = Recorded(
        size.toInt(), words[5].toInt(), File(folder, "$name.mask").readBytes(), words[6] == "1")
    val segmenter = TapSegmenter(model)
    segmenter.setPhotograph(photograph)
    val mask = if (model.takesPrevious) {
        segmenter.segment(gesture(rows), segmenter.segment(gesture(rows)))
    } else {
        segmenter.segment(gesture(rows).taps)
    }
    val probability = FloatArray(mask.width * mask.height)
    val row = FloatArray(mask.width)
    for (y in 0 until mask.height) {
        mask.row(y, row)
        row.copyInto(probability, y * mask.width)
    }
    val cutout = TapTensors.cutout(photograph, mask)
    val rgba = ByteArray(4 * cutout.size) { (cutout[it / 4] shr RGBA[it % 4]).toByte() }
    File(folder, "$name.previous").writeBytes(model.previous)
    File(folder, "$name.image").writeBytes(model.image)
    File(folder, "$name.points").writeBytes(floats(model.points))
    File(folder, "$name.probability").writeBytes(floats(probability))
    File(folder, "$name.cutout").writeBytes(rgba)
}

/** What is said to input that makes no sense; a line each, "taken" where nothing is said. */
private fun refusals(): List<String> {
    val photograph = Photograph(4, 3, IntArray(12))
    val segmenter = TapSegmenter(Recorded(8, 2, ByteArray(64)))
    segmenter.setPhotograph(photograph)
    val gestures = TapSegmenter(Recorded(8, 2, ByteArray(64), takesPrevious = true))
    gestures.setPhotograph(photograph)
    val on = Tap(0.0, 0.0)
    return listOf<() -> Any>(
        { Photograph(4, 3, IntArray(11)) },
        { Photograph(0, 3, IntArray(0)) },
        { TapSegmenter(Recorded(8, 2, ByteArray(64))).segment(listOf(on)) },
        { segmenter.segment(listOf()) },
        { segmenter.segment(listOf(Tap(0.0, 0.0, onObject = false))) },
        { segmenter.segment(listOf(on, on, on)) },
        { segmenter.segment(listOf(Tap(3.6, 0.0))) },
        { segmenter.segment(listOf(Tap(0.0, -0.6))) },
        { segmenter.segment(listOf(Tap(Double.NaN, 0.0))) },
        { segmenter.segment(listOf(Tap(3.5, -0.5))) },
        { segmenter.segment(Gesture(box = Place(0.0, 0.0) to Place(2.0, 2.0))) },
        { Gesture(extreme = listOf(Place(0.0, 0.0))) },
        { Gesture(box = Place(0.0, Double.NaN) to Place(2.0, 2.0)) },
        { gestures.segment(Gesture(box = Place(-9.0, 0.0) to Place(-5.0, 2.0))) },
        { gestures.segment(Gesture(box = Place(1.0, 0.0) to Place(9.0, 2.0))) },
    ).map { runCatching(it).exceptionOrNull()?.message ?: "taken" }
}

fun main(arguments: Array<String>) {
    val folder = File(arguments.single())
    File(folder, "cases.txt").forEachLine { answer(folder, it.split(' ')) }
    File(folder, "refused.txt").writeText(refusals().joinToString("\n"))
}
