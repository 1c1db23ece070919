package oace.android

import android.content.Context
import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.BuiltinNpuAcceleratorProvider
import com.google.ai.edge.litert.CompiledModel
import com.google.ai.edge.litert.Environment
import com.google.ai.edge.litert.LiteRtException
import com.google.ai.edge.litert.TensorBuffer
import java.io.File
import java.io.FileInputStream
import java.io.FileNotFoundException
import java.nio.channels.FileChannel

/**
 * The file of the interface `points` in LiteRT. The CPU is XNNPACK with its weight cache, which only
 * LiteRT's CompiledModel offers to Kotlin: `org.tensorflow.lite.Interpreter` has no setting for it.
 */
class LiteRtModel private constructor(
    override val file: ModelFile,
    private val environment: Environment,
    private val model: CompiledModel,
    override val runsOn: String,
) : TapModel {
    private val image = model.createInputBuffer("image", ModelFile.SIGNATURE)
    private val points = model.createInputBuffer("points", ModelFile.SIGNATURE)
    private val previous: TensorBuffer? =
        if (file.takesPrevious) model.createInputBuffer("previous", ModelFile.SIGNATURE) else null
    private val mask = model.createOutputBuffer("mask", ModelFile.SIGNATURE)
    private val masks: TensorBuffer? =
        if (file.answers > 1) model.createOutputBuffer("masks", ModelFile.SIGNATURE) else null
    private val scores: TensorBuffer? =
        if (file.answers > 1) model.createOutputBuffer("scores", ModelFile.SIGNATURE) else null

    override fun run(image: ByteArray, points: FloatArray, previous: ByteArray?): Outputs {
        this.image.writeInt8(image) // copies bytes, whatever their sign
        this.points.writeFloat(points)
        this.previous?.writeInt8(requireNotNull(previous) { "the file takes the mask answered before" })
        val inputs = named("image" to this.image, "points" to this.points, "previous" to this.previous)
        val outputs = named("mask" to mask, "masks" to masks, "scores" to scores)
        model.run(inputs, outputs, ModelFile.SIGNATURE)
        return Outputs(mask.readInt8(), masks?.readInt8(), scores?.readFloat())
    }

    private fun named(vararg buffers: Pair<String, TensorBuffer?>): Map<String, TensorBuffer> =
        buildMap { for ((name, buffer) in buffers) if (buffer != null) put(name, buffer) }

    override fun close() = listOfNotNull(image, points, previous, mask, masks, scores, model, environment)
        .forEach(AutoCloseable::close)

    companion object {
        const val ASSET = "oace_int8.tflite"
        private const val THREADS = 4

        /**
         * The file [asset] in the assets, on [wanted] or, with the reason in `runsOn`, on the CPU.
         *
         * @throws IllegalArgumentException there is no such asset, or no file of this toolkit
         */
        fun open(context: Context, wanted: Processor, asset: String = ASSET): LiteRtModel {
            val start = Start(context, asset, read(context, asset))
            if (wanted == Processor.CPU) return start.onCpu(null)
            val opened = runCatching { if (wanted == Processor.GPU) start.onGpu() else start.onNpu() }
            return opened.getOrElse { start.onCpu("$wanted refused: ${it.message}") }
        }

        private fun read(context: Context, asset: String): ModelFile {
            val opened = try {
                context.assets.openFd(asset) // refuses what is compressed
            } catch (error: FileNotFoundException) {
                throw IllegalArgumentException(
                    "the app has no asset $asset that is not compressed; put the file into src/main/assets and " +
                        "noCompress += \"tflite\" into androidResources of build.gradle.kts", error)
            }
            return opened.use { place -> // of the APK as a whole, in which the asset is a part
                FileInputStream(place.fileDescriptor).channel.use { channel ->
                    val bytes = channel.map(FileChannel.MapMode.READ_ONLY, place.startOffset, place.length)
                    ModelFile.read(bytes, asset)
                }
            }
        }
    }

    /** What is the same for all processors. */
    private class Start(val context: Context, val asset: String, val file: ModelFile) {
        fun onCpu(fallback: String?): LiteRtModel {
            // Android empties this folder when the app or the system changes: no stale weights
            val cache = File(context.codeCacheDir, "$asset.xnnpack")
            val kept = if (cache.length() > 0) "weight cache read" else "weight cache written"
            val options = CompiledModel.Options(Accelerator.CPU).apply {
                cpuOptions = CompiledModel.CpuOptions(THREADS, xnnPackWeightCachePath = cache.path)
            }
            val note = listOfNotNull("CPU, XNNPACK, $THREADS threads, $kept", fallback)
            return start(Environment.create(), options, note.joinToString("; "))
        }

        // GPU alone, without the CPU beside it: LiteRT then refuses a graph that it cannot take whole
        fun onGpu(): LiteRtModel =
            start(Environment.create(), CompiledModel.Options(Accelerator.GPU), "GPU").tried()

        // The successor of NNAPI: the chip maker's library, if this APK holds it
        fun onNpu(): LiteRtModel {
            val environment = Environment.create(context, BuiltinNpuAcceleratorProvider(context))
            if (Accelerator.NPU !in environment.getAvailableAccelerators()) {
                environment.close()
                throw IllegalStateException("no NPU library for this chip in the app")
            }
            val note = "NPU, and CPU for what it does not take"
            return start(environment, CompiledModel.Options(Accelerator.NPU), note).tried()
        }

        private fun start(environment: Environment, options: CompiledModel.Options, note: String): LiteRtModel {
            val opened = mutableListOf<AutoCloseable>(environment)
            try {
                val model = CompiledModel.create(context.assets, asset, options, environment)
                opened += model
                return LiteRtModel(file, environment, model, note)
            } catch (error: LiteRtException) {
                opened.asReversed().forEach(AutoCloseable::close)
                throw error
            }
        }

        // Delegates may accept a graph and fail at its first run: better now than at the first tap
        private fun LiteRtModel.tried() = apply {
            try {
                val nowhere = FloatArray(3 * file.maxPoints) { if (it % 3 == 2) -1f else 0f }
                val before = ByteArray(file.size * file.size).takeIf { file.takesPrevious }
                run(ByteArray(3 * file.size * file.size), nowhere, before)
            } catch (error: LiteRtException) {
                close()
                throw error
            }
        }
    }
}
