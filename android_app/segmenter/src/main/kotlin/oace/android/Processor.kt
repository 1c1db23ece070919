package oace.android

/** What the model is asked to run on; `runsOn` says what it runs on indeed. */
enum class Processor { CPU, GPU, NPU }
