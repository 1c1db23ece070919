package com.google.ai.edge.litert

import android.content.Context
import android.content.res.AssetManager

enum class Accelerator { NONE, CPU, GPU, NPU }

class LiteRtException(message: String) : Exception(message)

abstract class JniHandle internal constructor() : AutoCloseable {
    final override fun close() = Unit
}

interface NpuAcceleratorProvider

class BuiltinNpuAcceleratorProvider(val context: Context) : NpuAcceleratorProvider

class Environment private constructor() : JniHandle() {
    enum class Option { CompilerPluginLibraryDir, DispatchLibraryDir }

    fun getAvailableAccelerators(): Set<Accelerator> = setOf()

    companion object {
        @Suppress("UNUSED_PARAMETER")
        fun create(
            context: Context, npuAcceleratorProvider: NpuAcceleratorProvider, options: Map<Option, String> = mapOf(),
        ): Environment = Environment()

        @Suppress("UNUSED_PARAMETER")
        fun create(options: Map<Option, String> = mapOf()): Environment = Environment()
    }
}

@Suppress("UNUSED_PARAMETER")
class TensorBuffer internal constructor() : JniHandle() {
    fun writeFloat(data: FloatArray) = Unit

    fun writeInt8(data: ByteArray) = Unit

    fun readFloat(): FloatArray = floatArrayOf()

    fun readInt8(): ByteArray = byteArrayOf()
}

@Suppress("UNUSED_PARAMETER")
class CompiledModel private constructor() : JniHandle() {
    data class CpuOptions(
        val numThreads: Int? = null, val xnnPackFlags: Int? = null, val xnnPackWeightCachePath: String? = null,
    )

    class Options(internal val accelerators: Set<Accelerator>) {
        constructor(vararg accelerators: Accelerator) : this(setOf(*accelerators))

        var cpuOptions: CpuOptions? = null
    }

    fun createInputBuffer(inputName: String, signature: String = ""): TensorBuffer = TensorBuffer()

    fun createOutputBuffer(outputName: String, signature: String = ""): TensorBuffer = TensorBuffer()

    fun run(inputs: Map<String, TensorBuffer>, outputs: Map<String, TensorBuffer>, signature: String = "") = Unit

    companion object {
        fun create(
            assetManager: AssetManager, assetName: String, options: Options, optionalEnv: Environment? = null,
        ): CompiledModel = CompiledModel()
    }
}
