package oace.android

import android.content.Context

/** The int8 file in the assets, on [wanted] or, with the reason in `runsOn`, on the CPU. */
fun openSegmenter(context: Context, wanted: Processor): Segmenter =
    TapSegmenter(LiteRtModel.open(context, wanted))
