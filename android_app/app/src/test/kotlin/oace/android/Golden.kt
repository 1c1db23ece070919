package oace.android

import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder

/*
 * Answers the cases of a folder with TapSegmenter.kt, for tests/android_app/test_golden.py, which
 * compares them with Python. `cases.txt` has a line a case: name, width, height as stored, EXIF
 * orientation, side of the frame, rows of `points`, then x y label for each tap. NAME.rgb holds the
 * stored pixels, NAME.mask the mask that the model is made to give. Written: NAME.image, NAME.points,
 * NAME.probability (float32, little endian), NAME.cutout (R, G, B, A), and refused.txt, what is said to
 * input that makes no sense.
 */

private val RGBA = intArrayOf(16, 8, 0, 24) // bits of 0xAARRGGBB to the right of each

/** A model that keeps what it is given and answers with a recorded mask. */
private class Recorded(
    override val size: Int, override val maxPoints: Int, private val mask: ByteArray,
) : TapModel {
    lateinit var image: ByteArray
    lateinit var points: FloatArray
    override val runsOn = "record"

    override fun run(image: ByteArray, points: FloatArray): ByteArray {
        this.image = image
        this.points = points
        return mask
    }

    override fun close() = Unit
}

private fun floats(values: FloatArray) = ByteBuffer.allocate(4 * values.size)
    .order(ByteOrder.LITTLE_ENDIAN).apply { values.forEach(::putFloat) }.array()

private fun answer(folder: File, words: List<String>) {
    val (name, width, height, orientation, size) = words
    val rgb = File(folder, "$name.rgb").readBytes()
    val stored = Photograph(width.toInt(), height.toInt(), IntArray(rgb.size / 3) { i ->
        (0..2).fold(255) { argb, c -> argb shl 8 or (rgb[3 * i + c].toInt() and 255) }
    })
    val photograph = TapTensors.upright(stored, orientation.toInt())
    val taps = words.drop(6).chunked(3) { Tap(it[0].toDouble(), it[1].toDouble(), it[2] == "1") }
    val model = Recorded(size.toInt(), words[5].toInt(), File(folder, "$name.mask").readBytes())
    val segmenter = TapSegmenter(model)
    segmenter.setPhotograph(photograph)
    val mask = segmenter.segment(taps)
    val probability = FloatArray(mask.width * mask.height)
    val row = FloatArray(mask.width)
    for (y in 0 until mask.height) {
        mask.row(y, row)
        row.copyInto(probability, y * mask.width)
    }
    val cutout = TapTensors.cutout(photograph, mask)
    val rgba = ByteArray(4 * cutout.size) { (cutout[it / 4] shr RGBA[it % 4]).toByte() }
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
    ).map { runCatching(it).exceptionOrNull()?.message ?: "taken" }
}

fun main(arguments: Array<String>) {
    val folder = File(arguments.single())
    File(folder, "cases.txt").forEachLine { answer(folder, it.split(' ')) }
    File(folder, "refused.txt").writeText(refusals().joinToString("\n"))
}
