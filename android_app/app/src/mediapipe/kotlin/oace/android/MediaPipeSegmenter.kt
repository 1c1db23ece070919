package oace.android

import android.content.Context
import android.graphics.Bitmap
import com.google.mediapipe.framework.MediaPipeException
import com.google.mediapipe.framework.image.BitmapImageBuilder
import com.google.mediapipe.framework.image.ByteBufferExtractor
import com.google.mediapipe.framework.image.MPImage
import com.google.mediapipe.tasks.components.containers.NormalizedKeypoint
import com.google.mediapipe.tasks.core.BaseOptions
import com.google.mediapipe.tasks.core.Delegate
import com.google.mediapipe.tasks.vision.interactivesegmenterlegacy.InteractiveSegmenterLegacy
import com.google.mediapipe.tasks.vision.interactivesegmenterlegacy.InteractiveSegmenterLegacy.InteractiveSegmenterLegacyOptions
import com.google.mediapipe.tasks.vision.interactivesegmenterlegacy.InteractiveSegmenterLegacy.RegionOfInterest
import java.nio.FloatBuffer
import kotlin.math.roundToInt

/** The drop-in file in the assets, on [wanted] or, with the reason in `runsOn`, on the CPU. */
fun openSegmenter(context: Context, wanted: Processor): Segmenter =
    MediaPipeSegmenter.open(context, wanted)

/**
 * The drop-in file of the interface `mediapipe` in MediaPipe's own task, `InteractiveSegmenterLegacy`
 * of 1.0: it resizes, draws the tap and brings the mask back. One tap an answer, on the object.
 */
class MediaPipeSegmenter private constructor(
    private val task: InteractiveSegmenterLegacy,
    override val runsOn: String,
) : Segmenter, AutoCloseable by task {
    private var photograph: Photograph? = null
    private var image: MPImage? = null

    override val maxRows = 1
    override val kinds = setOf(Kind.TAP)

    override fun setPhotograph(photograph: Photograph) {
        val opaque = IntArray(photograph.argb.size) { photograph.argb[it] or (255 shl 24) }
        val bitmap = Bitmap.createBitmap(
            opaque, photograph.width, photograph.height, Bitmap.Config.ARGB_8888)
        image?.close()
        image = BitmapImageBuilder(bitmap).build()
        this.photograph = photograph
    }

    override fun segment(gesture: Gesture, previous: ObjectMask?): ObjectMask {
        val (width, height) = checkNotNull(photograph) { "no photograph yet" }.run { width to height }
        require(gesture.kinds == kinds && gesture.taps.size == 1 && previous == null) {
            "MediaPipe's task takes one tap on the object, and nothing else"
        }
        val tap = gesture.taps.single()
        // The name says normalized, but the task of 1.0.0 leaves the flag of that name unset from Java:
        // its graph reads pixels, cut to whole ones (InteractiveSegmenterLegacy.java, annotation_renderer.cc)
        val place = NormalizedKeypoint.create(
            tap.x.roundToInt().coerceIn(0, width - 1).toFloat(),
            tap.y.roundToInt().coerceIn(0, height - 1).toFloat())
        val result = task.segment(checkNotNull(image), RegionOfInterest.create(place))
        // one mask of the object, or background and object: the last one either way
        val mask = result.confidenceMasks().orElseThrow().last()
        check(mask.width == width && mask.height == height) { "a mask of another size" }
        return FloatMask(ByteBufferExtractor.extract(mask).asFloatBuffer(), width, height).tidied(gesture.taps)
    }

    companion object {
        const val ASSET = "oace_int8_mediapipe.tflite"

        fun open(context: Context, wanted: Processor): MediaPipeSegmenter {
            if (wanted == Processor.CPU) return start(context, Delegate.CPU, "CPU")
            val delegate = if (wanted == Processor.GPU) Delegate.GPU else Delegate.NPU
            return try {
                start(context, delegate, "MediaPipe with its delegate $wanted")
            } catch (error: MediaPipeException) {
                start(context, Delegate.CPU, "CPU; $wanted refused: ${error.message}")
            }
        }

        private fun start(context: Context, delegate: Delegate, note: String): MediaPipeSegmenter {
            val base = BaseOptions.builder().setModelAssetPath(ASSET).setDelegate(delegate).build()
            val options = InteractiveSegmenterLegacyOptions.builder().setBaseOptions(base).build()
            return MediaPipeSegmenter(InteractiveSegmenterLegacy.createFromOptions(context, options), note)
        }
    }
}

private class FloatMask(
    private val values: FloatBuffer, override val width: Int, override val height: Int,
) : ObjectMask {
    override fun row(y: Int, into: FloatArray) {
        values.position(y * width)
        values.get(into, 0, width)
    }
}
