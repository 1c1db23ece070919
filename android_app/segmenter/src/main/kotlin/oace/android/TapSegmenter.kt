package oace.android

/*
 * Photograph + gesture -> mask at the photograph's size, as oace_tf/segmenter.py does it, number for
 * number. This file, Gesture.kt, Masks.kt, ModelFile.kt, Region.kt and TapTensors.kt need no Android
 * and no LiteRT: a plain JVM compiles and runs them, and tests/android_app does so against Python.
 */

/** An upright photograph: [argb] has [width] * [height] pixels 0xAARRGGBB, row by row. */
class Photograph(val width: Int, val height: Int, val argb: IntArray) {
    init {
        require(width > 0 && height > 0 && argb.size == width * height) {
            "a photograph of ${width}x$height needs ${width.toLong() * height} pixels, got ${argb.size}"
        }
    }
}

/** The probability of each pixel of the photograph to belong to the object. For one thread at a time. */
interface ObjectMask {
    val width: Int
    val height: Int

    /** The mask as the file gave it, to be handed back with the next tap; null where it takes none. */
    val given: Given? get() = null

    /** Writes row [y] to the first [width] places of [into]: 0 to 1, object from 0.5 on. */
    fun row(y: Int, into: FloatArray)

    /** The pixels of the object; those of a [TapSegmenter] are tidied. Made when first asked for. */
    val region: Region get() = Region.of(this)
}

/** One of several answers; [score] is the IoU that the file predicts for it. */
class Alternative(val mask: ObjectMask, val score: Float)

/** Photograph + gesture -> mask. One thread at a time; not the main thread. */
interface Segmenter : AutoCloseable {
    /** What the model really runs on, and why if that is not what was asked for. */
    val runsOn: String

    /** Rows of a gesture that one answer takes, at most: one a tap, two a box, two a drag. */
    val maxRows: Int

    /** What a gesture may be made of. */
    val kinds: Set<Kind>

    /** Whether it takes its answer to the taps before. */
    val takesPrevious: Boolean get() = false

    /** How many answers [alternatives] gives; 1 where there is none but that of [segment]. */
    val answers: Int get() = 1

    fun setPhotograph(photograph: Photograph)

    /** The object under [taps]; at least one must be on it. */
    fun segment(taps: List<Tap>): ObjectMask = segment(Gesture(taps))

    /**
     * The object that [gesture] means. [previous] is the answer to the same gesture without its last
     * taps. Without it, a file of RITM is asked tap by tap, others start from nothing.
     */
    fun segment(gesture: Gesture, previous: ObjectMask? = null): ObjectMask

    /** Several answers to one gesture: a part, the object, a larger whole; in the file's own order. */
    fun alternatives(gesture: Gesture, previous: ObjectMask? = null): List<Alternative> =
        throw IllegalArgumentException("the model gives one answer alone; ask segment")
}

/** What a file answers: `mask`, and of a file with several answers `masks` and `scores`, else null. */
class Outputs(val mask: ByteArray, val masks: ByteArray? = null, val scores: FloatArray? = null)

/** A file of the interface `points`: image + points -> mask; see the README for the tensors. */
interface TapModel : AutoCloseable {
    val runsOn: String

    /** What the file says about itself. */
    val file: ModelFile

    /**
     * [image]: size * size * 3 bytes RGB; [points]: maxPoints * 3; [previous]: size * size bytes where
     * the file takes them, else null. Gives size * size bytes, and size * size * answers with a score
     * each where there are several.
     */
    fun run(image: ByteArray, points: FloatArray, previous: ByteArray?): Outputs
}

/**
 * A file's answers on photographs. [tidy]: whether regions lose pieces without a tap and small holes,
 * see [Region.tidy]. [secondLook]: whether [segment] asks a file of gestures again, where taps alone
 * gave a small object, and shows it the part around that object. The mean of both answers is then the
 * mask, and the first one goes into the next question.
 */
class TapSegmenter(
    private val model: TapModel, private val tidy: Boolean = true, private val secondLook: Boolean = true,
) : Segmenter, AutoCloseable by model {
    private val file = model.file
    private var photograph: Photograph? = null
    private val images = HashMap<Window, ByteArray>() // of the whole and of the newest part

    override val runsOn get() = model.runsOn
    override val maxRows get() = file.maxPoints
    override val kinds get() = file.kinds
    override val takesPrevious get() = file.takesPrevious
    override val answers get() = file.answers

    override fun setPhotograph(photograph: Photograph) {
        val shown = TapTensors.onWhite(photograph)
        images.clear()
        images[Window(0, 0, shown.width, shown.height)] = TapTensors.image(shown, file.size)
        this.photograph = shown
    }

    override fun segment(gesture: Gesture, previous: ObjectMask?): ObjectMask {
        val question = question(gesture, previous)
        val tapByTap = previous == null && file.takesPrevious && file.gestures.isEmpty()
        val before = if (tapByTap) answerBefore(question) else question.previous
        val first = question.given(model.run(question.image, question.points(), before).mask)
        if (!secondLook || previous != null || file.gestures.isEmpty()) return question.finished(first)
        val tidied = first.tidied(gesture.allTaps)
        val window = Window.aroundSmall(tidied.region, gesture)
            ?: return if (tidy) tidied else first
        return question.finished(MeanMask(first, seenIn(window, question)))
    }

    /** What the file answers, shown [window] and no mask before. */
    private fun seenIn(window: Window, question: Question): ObjectMask {
        val (gesture, whole) = question.gesture to question.whole
        val second = Question(gesture, whole, window, image(whole, window), previous(null, window, whole))
        return second.given(model.run(second.image, second.points(), second.previous).mask)
    }

    override fun alternatives(gesture: Gesture, previous: ObjectMask?): List<Alternative> {
        require(file.answers > 1) {
            "the file gives one answer alone; take a file of the interface points-multi, or ask segment"
        }
        val question = question(gesture, previous)
        val given = model.run(question.image, question.points(), question.previous)
        val masks = checkNotNull(given.masks) // interleaved: all answers of a pixel side by side
        val scores = checkNotNull(given.scores)
        return List(file.answers) { k ->
            val bytes = ByteArray(file.size * file.size) { masks[it * file.answers + k] }
            Alternative(question.finished(question.given(bytes)), scores[k])
        }
    }

    /** What the file answers to all taps but the last, as a person would have seen it (RITM). */
    private fun answerBefore(question: Question): ByteArray? {
        var before = question.previous
        val taps = question.gesture.taps
        for (count in taps.indexOfFirst { it.onObject } + 1 until taps.size) {
            before = model.run(question.image, question.points(question.rows.take(count)), before).mask
        }
        return before
    }

    private fun question(gesture: Gesture, previous: ObjectMask?): Question {
        val whole = checkNotNull(photograph) { "no photograph yet; give one to setPhotograph first" }
        val unknown = gesture.kinds - file.kinds
        require(unknown.isEmpty()) {
            "the file was not trained on ${words(unknown)}; it knows ${words(file.kinds)}"
        }
        TapTensors.check(gesture.taps, whole.width, whole.height)
        require(gesture.rows().size <= file.maxPoints) {
            "the gesture has ${gesture.rows().size} rows, the file takes ${file.maxPoints}; leave taps out"
        }
        val window = Window.around(gesture, whole.width, whole.height)
        return Question(gesture, whole, window, image(whole, window), previous(previous, window, whole))
    }

    private fun image(whole: Photograph, window: Window): ByteArray = images.getOrPut(window) {
        images.keys.retainAll(setOf(Window(0, 0, whole.width, whole.height)))
        TapTensors.image(window.crop(whole), file.size)
    }

    private fun previous(mask: ObjectMask?, window: Window, whole: Photograph): ByteArray? {
        if (mask == null) return if (file.takesPrevious) ByteArray(file.size * file.size) else null
        require(file.takesPrevious) { "the file takes no previous mask; leave it out" }
        val given = mask.given
        val fits = mask.width == whole.width && mask.height == whole.height
        require(fits && given != null && given.bytes.size == file.size * file.size) {
            "the previous mask is of another photograph or file; leave it out"
        }
        return window.moved(given, file.size, whole.width, whole.height)
    }

    /** A gesture, what the file is shown for it, and the mask before. */
    private inner class Question(
        val gesture: Gesture, val whole: Photograph, val window: Window, val image: ByteArray,
        val previous: ByteArray?,
    ) {
        val rows = gesture.rows().map { it.copy(x = it.x - window.left, y = it.y - window.top) }

        fun points(rows: List<Row> = this.rows) =
            TapTensors.points(rows, window.width, window.height, file.size, file.maxPoints)

        fun given(bytes: ByteArray): ObjectMask =
            WindowMask(Given(bytes, window), file.size, whole.width, whole.height)

        fun finished(mask: ObjectMask) = if (tidy) mask.tidied(gesture.allTaps) else mask
    }

    private fun words(kinds: Set<Kind>) = kinds.map { it.word }.sorted().joinToString(", ")
}
