package oace.android

import android.content.Context
import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.BuiltinNpuAcceleratorProvider
import com.google.ai.edge.litert.CompiledModel
import com.google.ai.edge.litert.Environment
import com.google.ai.edge.litert.LiteRtException
import com.google.ai.edge.litert.TensorBuffer
import java.io.File

/** The int8 file in the assets, on [wanted] or, with the reason in `runsOn`, on the CPU. */
fun openSegmenter(context: Context, wanted: Processor): Segmenter =
    TapSegmenter(LiteRtModel.open(context, wanted))

/**
 * The file of the interface `points` in LiteRT. The CPU is XNNPACK with its weight cache, which only
 * LiteRT's CompiledModel offers to Kotlin: `org.tensorflow.lite.Interpreter` has no setting for it.
 */
class LiteRtModel private constructor(
    private val environment: Environment,
    private val model: CompiledModel,
    override val runsOn: String,
) : TapModel {
    private val image = model.createInputBuffer("image", SIGNATURE)
    private val points = model.createInputBuffer("points", SIGNATURE)
    private val mask = model.createOutputBuffer("mask", SIGNATURE)

    // a file of a pair has no such input
    private val previous = runCatching { model.createInputBuffer("previous", SIGNATURE) }.getOrNull()

    override val size = SIZE // LiteRT's Kotlin does not tell shapes of uint8 tensors
    override val maxPoints =
        checkNotNull(model.getInputTensorType("points", SIGNATURE).layout).dimensions[1]

    override val takesPrevious = previous != null

    override fun run(image: ByteArray, points: FloatArray, previous: ByteArray?): ByteArray {
        this.image.writeInt8(image) // copies bytes, whatever their sign
        this.points.writeFloat(points)
        val inputs = mutableMapOf("image" to this.image, "points" to this.points)
        this.previous?.let { buffer ->
            buffer.writeInt8(requireNotNull(previous) { "the file takes the mask answered before" })
            inputs["previous"] = buffer
        }
        model.run(inputs, mapOf("mask" to mask), SIGNATURE)
        return mask.readInt8()
    }

    override fun close() =
        listOfNotNull(image, points, previous, mask, model, environment).forEach(AutoCloseable::close)

    companion object {
        const val ASSET = "oace_int8.tflite"
        private const val SIGNATURE = "serving_default"
        private const val SIZE = 512 // px, the file's [1, 512, 512, 3]
        private const val THREADS = 4

        fun open(context: Context, wanted: Processor): LiteRtModel {
            if (wanted == Processor.CPU) return onCpu(context, null)
            val opened = runCatching { if (wanted == Processor.GPU) onGpu(context) else onNpu(context) }
            return opened.getOrElse { onCpu(context, "$wanted refused: ${it.message}") }
        }

        private fun onCpu(context: Context, fallback: String?): LiteRtModel {
            // Android empties this folder when the app or the system changes: no stale weights
            val cache = File(context.codeCacheDir, "$ASSET.xnnpack")
            val kept = if (cache.length() > 0) "weight cache read" else "weight cache written"
            val options = CompiledModel.Options(Accelerator.CPU).apply {
                cpuOptions = CompiledModel.CpuOptions(THREADS, xnnPackWeightCachePath = cache.path)
            }
            val note = listOfNotNull("CPU, XNNPACK, $THREADS threads, $kept", fallback)
            return start(context, Environment.create(), options, note.joinToString("; "))
        }

        // GPU alone, without the CPU beside it: LiteRT then refuses a graph that it cannot take whole
        private fun onGpu(context: Context): LiteRtModel =
            start(context, Environment.create(), CompiledModel.Options(Accelerator.GPU), "GPU").tried()

        // The successor of NNAPI: the chip maker's library, if this APK holds it
        private fun onNpu(context: Context): LiteRtModel {
            val environment = Environment.create(context, BuiltinNpuAcceleratorProvider(context))
            if (Accelerator.NPU !in environment.getAvailableAccelerators()) {
                environment.close()
                throw IllegalStateException("no NPU library for this chip in the app")
            }
            val note = "NPU, and CPU for what it does not take"
            return start(context, environment, CompiledModel.Options(Accelerator.NPU), note).tried()
        }

        private fun start(
            context: Context, environment: Environment, options: CompiledModel.Options, note: String,
        ): LiteRtModel {
            val opened = mutableListOf<AutoCloseable>(environment)
            try {
                val model = CompiledModel.create(context.assets, ASSET, options, environment)
                opened += model
                return LiteRtModel(environment, model, note)
            } catch (error: LiteRtException) {
                opened.asReversed().forEach(AutoCloseable::close)
                throw error
            }
        }

        // Delegates may accept a graph and fail at its first run: better now than at the first tap
        private fun LiteRtModel.tried() = apply {
            try {
                val nowhere = FloatArray(3 * maxPoints) { if (it % 3 == 2) -1f else 0f }
                run(ByteArray(3 * size * size), nowhere, ByteArray(size * size).takeIf { takesPrevious })
            } catch (error: LiteRtException) {
                close()
                throw error
            }
        }
    }
}
