package oace.android

import android.app.Activity
import android.content.ActivityNotFoundException
import android.content.ContentValues
import android.content.Intent
import android.graphics.Bitmap
import android.net.Uri
import android.os.Build
import android.os.Bundle
import android.os.SystemClock
import android.provider.MediaStore
import android.view.View
import android.widget.Button
import android.widget.LinearLayout
import android.widget.Switch
import android.widget.TextView
import java.util.concurrent.Executors
import kotlin.math.max

/** Pick or take a photograph, draw on it what is meant, see, save, share or copy the cutout. */
class MainActivity : Activity() {
    private lateinit var picture: PictureView
    private lateinit var runsOn: TextView
    private lateinit var times: TextView
    private lateinit var modeButton: Button
    private lateinit var background: Switch
    private lateinit var choices: LinearLayout
    private lateinit var processorButton: Button

    // Of the main thread
    private var drawing = Drawing()
    private var photograph: Photograph? = null
    private var processor = Processor.CPU
    private var modes = listOf(Mode.TAP)
    private var kinds = setOf(Kind.TAP)
    private var maxRows = 1
    private var camera: Uri? = null // where the camera app was asked to write
    @Volatile private var latest = 0 // number of the last question: answers to older ones are not shown

    // Of the worker, which alone touches the model
    private val worker = Executors.newSingleThreadExecutor()
    private var segmenter: Segmenter? = null
    private var prepared: Photograph? = null
    private val answers = HashMap<Gesture, Answer>() // on this photograph
    private var saved: Pair<ObjectMask, Uri>? = null // the newest cutout among the phone's pictures

    /** The masks that the file gave to a gesture, and the one that a person took. */
    private class Answer(val masks: List<Alternative>, var taken: Int) {
        val mask get() = masks[taken].mask
    }

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        setContentView(R.layout.main)
        picture = requireViewById(R.id.picture)
        runsOn = requireViewById(R.id.runs_on)
        times = requireViewById(R.id.times)
        modeButton = requireViewById(R.id.mode)
        background = requireViewById(R.id.background)
        choices = requireViewById(R.id.choices)
        processorButton = requireViewById(R.id.processor)
        @Suppress("DEPRECATION")
        camera = state?.getParcelable(CAMERA)
        requireViewById<Button>(R.id.pick).setOnClickListener { pick() }
        requireViewById<Button>(R.id.take).setOnClickListener { take() }
        requireViewById<Button>(R.id.undo).setOnClickListener { draw(drawing.undone()) }
        requireViewById<Button>(R.id.clear).setOnClickListener { draw(Drawing()) }
        requireViewById<Button>(R.id.save).setOnClickListener { withSaved { say(R.string.saved) } }
        requireViewById<Button>(R.id.share).setOnClickListener { withSaved { share(it) } }
        requireViewById<Button>(R.id.copy).setOnClickListener { withSaved { copy(it) } }
        modeButton.setOnClickListener { showMode(modes[(modes.indexOf(picture.mode) + 1) % modes.size]) }
        processorButton.setOnClickListener { load(Processor.entries[(processor.ordinal + 1) % 3]) }
        picture.onTap = { place, long -> tapped(place, !long && !background.isChecked) }
        picture.onStroke = { stroked(it) }
        showMode(Mode.TAP)
        load(processor)
    }

    override fun onSaveInstanceState(state: Bundle) {
        super.onSaveInstanceState(state)
        state.putParcelable(CAMERA, camera)
    }

    override fun onDestroy() {
        super.onDestroy()
        worker.execute { segmenter?.close() }
        worker.shutdown()
    }

    // --- photograph

    private fun pick() {
        val intent = if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.TIRAMISU) {
            Intent(MediaStore.ACTION_PICK_IMAGES)
        } else {
            Intent(Intent.ACTION_OPEN_DOCUMENT).addCategory(Intent.CATEGORY_OPENABLE)
        }
        start(intent.setType("image/*"), PICKED)
    }

    private fun take() {
        val collection = MediaStore.Images.Media.EXTERNAL_CONTENT_URI
        val uri = contentResolver.insert(collection, ContentValues()) ?: return say(R.string.no_place)
        camera = uri
        val flags = Intent.FLAG_GRANT_WRITE_URI_PERMISSION or Intent.FLAG_GRANT_READ_URI_PERMISSION
        val intent = Intent(MediaStore.ACTION_IMAGE_CAPTURE)
        start(intent.putExtra(MediaStore.EXTRA_OUTPUT, uri).addFlags(flags), TAKEN)
    }

    private fun start(intent: Intent, request: Int) = try {
        startActivityForResult(intent, request)
    } catch (error: ActivityNotFoundException) {
        say(R.string.no_app)
        dropCameraFile()
    }

    override fun onActivityResult(request: Int, result: Int, data: Intent?) {
        super.onActivityResult(request, result, data)
        val uri = if (request == TAKEN) camera else data?.data
        if (result == RESULT_OK && uri != null) {
            camera = null
            show(uri)
        } else {
            dropCameraFile()
        }
    }

    private fun dropCameraFile() {
        camera?.let { contentResolver.delete(it, null, null) }
        camera = null
    }

    private fun show(uri: Uri) {
        val question = ++latest
        val before = photograph
        photograph = null // no taps until it is read
        say(R.string.reading)
        inWorker({ photograph = before }) {
            val read = contentResolver.readPhotograph(uri)
            prepared = read
            answers.clear()
            saved = null
            val ms = timed { segmenter?.setPhotograph(read) }
            val shown = shown(read.argb, read)
            onMain(question) {
                photograph = read
                drawing = Drawing()
                picture.setImageBitmap(shown)
                picture.photograph = read
                picture.drawing = drawing
                showChoices(null)
                times.text = getString(R.string.prepared, read.width, read.height, ms)
            }
        }
    }

    // --- gestures

    private fun showMode(mode: Mode) {
        picture.mode = mode
        val name = when (mode) {
            Mode.TAP -> R.string.tap
            Mode.SCRIBBLE -> R.string.scribble
            Mode.BOX -> R.string.box
            Mode.EXTREME -> R.string.extreme
            Mode.DRAG -> R.string.drag
        }
        modeButton.setText(name)
    }

    private fun tapped(place: Place, onObject: Boolean) = when {
        picture.mode == Mode.EXTREME -> add(Step.Extreme(listOf(place)))
        !onObject && Kind.BACKGROUND !in kinds -> say(R.string.no_background)
        maxRows == 1 -> draw(Drawing() + Step.Taps(listOf(Tap(place.x, place.y))))
        else -> add(Step.Taps(listOf(Tap(place.x, place.y, onObject))))
    }

    private fun stroked(places: List<Place>) {
        val whole = photograph ?: return
        val onObject = !background.isChecked
        when (picture.mode) {
            Mode.BOX -> add(Step.Box(places.first(), places.last()))
            Mode.DRAG -> add(Step.Drag(places.first(), places.last()))
            else -> if (!onObject && Kind.BACKGROUND !in kinds) say(R.string.no_background) else {
                val most = drawing.room(maxRows)
                if (most == 0) return say(R.string.enough)
                add(Step.Taps(Gesture.scribble(places, whole.width, whole.height, onObject, most)))
            }
        }
    }

    private fun add(step: Step) {
        val next = drawing + step
        val gesture = next.gesture
        when {
            gesture != null && gesture.rows().size > maxRows -> say(R.string.enough)
            gesture == null && next.extreme.isEmpty() -> say(R.string.object_first)
            else -> draw(next)
        }
    }

    private fun draw(wanted: Drawing) {
        val whole = photograph ?: return
        val question = ++latest
        // what is left after undo may be background alone: nothing to ask then
        drawing = if (wanted.gesture != null || wanted.extreme.isNotEmpty()) wanted else Drawing()
        picture.drawing = drawing
        val gesture = drawing.gesture
        val asked = drawing
        if (drawing.extreme.size in 1 until Step.FOUR) say(R.string.more_points)
        inWorker {
            if (question != latest) return@inWorker // a newer question waits already
            val model = segmenter ?: return@inWorker onMain(question) { say(R.string.no_model) }
            if (gesture == null) {
                val shown = shown(whole.argb, whole)
                return@inWorker onMain(question) {
                    picture.setImageBitmap(shown)
                    showChoices(null)
                }
            }
            lateinit var answer: Answer
            val ms = timed { answer = answer(model, asked, gesture) }
            showAnswer(answer, whole, question, ms)
        }
    }

    /** In the worker: what the file answers; with later taps it is shown its answer before them. */
    private fun answer(model: Segmenter, asked: Drawing, gesture: Gesture): Answer = answers.getOrPut(gesture) {
        val before = asked.before.takeIf { model.takesPrevious }
        val previous = before?.gesture?.let { answer(model, before, it).mask }
        if (model.answers == 1) return@getOrPut Answer(listOf(Alternative(model.segment(gesture, previous), 1f)), 0)
        val masks = model.alternatives(gesture, previous)
        Answer(masks, masks.indices.maxBy { masks[it].score })
    }

    /** In the worker: shows the mask that is taken of an answer. */
    private fun showAnswer(answer: Answer, whole: Photograph, question: Int, ms: Double) {
        lateinit var pixels: IntArray
        val cut = timed { pixels = TapTensors.cutout(whole, answer.mask, OUTSIDE_ALPHA) }
        val shown = shown(pixels, whole)
        onMain(question) {
            picture.setImageBitmap(shown)
            showChoices(answer)
            times.text = getString(R.string.answered, ms, cut)
        }
    }

    /** A button for each of several masks, with the IoU that the file expects of it. */
    private fun showChoices(answer: Answer?) {
        val several = answer != null && answer.masks.size > 1
        choices.visibility = if (several) View.VISIBLE else View.GONE
        choices.removeAllViews()
        if (answer == null || !several) return
        answer.masks.forEachIndexed { k, mask ->
            val button = Button(this)
            val (number, percent) = k + 1 to (100 * mask.score).toInt()
            button.text = getString(R.string.choice, number, percent)
            button.isEnabled = k != answer.taken
            button.setOnClickListener { choose(answer, k) }
            choices.addView(button, LinearLayout.LayoutParams(0, LinearLayout.LayoutParams.WRAP_CONTENT, 1f))
        }
    }

    private fun choose(answer: Answer, number: Int) {
        inWorker { answer.taken = number }
        draw(drawing)
    }

    // --- cutout

    /** Saves the cutout that is shown, unless it is saved already, and hands its address to [task]. */
    private fun withSaved(task: (Uri) -> Unit) {
        val whole = photograph ?: return say(R.string.nothing_yet)
        val gesture = drawing.gesture ?: return say(R.string.nothing_yet)
        say(R.string.saving)
        inWorker {
            val mask = answers[gesture]?.mask ?: return@inWorker runOnUiThread { say(R.string.nothing_yet) }
            val known = saved?.takeIf { (of, uri) -> of === mask && contentResolver.holds(uri) }?.second
            val name = "cutout-${System.currentTimeMillis()}.png"
            val uri = known ?: contentResolver.saveCutout(cutout(whole, mask), name)
            saved = mask to uri
            runOnUiThread { if (!isDestroyed) task(uri) }
        }
    }

    private fun cutout(whole: Photograph, mask: ObjectMask) = Bitmap.createBitmap(
        TapTensors.cutout(whole, mask), whole.width, whole.height, Bitmap.Config.ARGB_8888)

    private fun copy(uri: Uri) {
        copyCutout(uri)
        say(R.string.copied)
    }

    private fun share(uri: Uri) {
        say(R.string.saved)
        startActivity(shareIntent(uri))
    }

    /** What stands on the screen: [pixels] of [whole] at 2048 px or less. */
    private fun shown(pixels: IntArray, whole: Photograph): Bitmap {
        val full = Bitmap.createBitmap(pixels, whole.width, whole.height, Bitmap.Config.ARGB_8888)
        val scale = minOf(1.0, SHOWN_SIDE / max(whole.width, whole.height))
        val bitmap = Bitmap.createScaledBitmap(
            full, max(1, (whole.width * scale).toInt()), max(1, (whole.height * scale).toInt()), true)
        bitmap.density = Bitmap.DENSITY_NONE // its pixels are its size
        return bitmap
    }

    // --- model

    private fun load(wanted: Processor) {
        processor = wanted
        processorButton.text = getString(R.string.processor, wanted.name)
        runsOn.setText(R.string.loading)
        inWorker({ runsOn.setText(R.string.no_model) }) {
            segmenter?.close()
            segmenter = null
            answers.clear()
            saved = null
            val ms = timed { segmenter = openSegmenter(this, wanted) }
            val opened = checkNotNull(segmenter)
            prepared?.let(opened::setPhotograph)
            runOnUiThread {
                maxRows = opened.maxRows
                kinds = opened.kinds
                modes = Mode.of(opened)
                if (picture.mode !in modes) showMode(Mode.TAP)
                modeButton.visibility = if (modes.size > 1) View.VISIBLE else View.GONE
                background.visibility = if (Kind.BACKGROUND in kinds) View.VISIBLE else View.GONE
                runsOn.text = getString(R.string.loaded, ms, opened.runsOn)
                if (drawing.gesture != null) draw(drawing)
            }
        }
    }

    // --- worker

    /** Runs [task] in the worker; what goes wrong there is said on the screen, after [undo]. */
    private fun inWorker(undo: () -> Unit = {}, task: () -> Unit) = worker.execute {
        try {
            task()
        } catch (error: Exception) {
            runOnUiThread { undo().also { say(error.message ?: error.javaClass.simpleName) } }
        } catch (error: OutOfMemoryError) {
            runOnUiThread { undo().also { say(R.string.no_memory) } }
        }
    }

    private fun onMain(question: Int, task: () -> Unit) = runOnUiThread {
        if (question == latest && !isDestroyed) task()
    }

    private inline fun timed(task: () -> Unit): Double {
        val start = SystemClock.elapsedRealtimeNanos()
        task()
        return (SystemClock.elapsedRealtimeNanos() - start) / 1e6
    }

    private fun say(text: Int) = say(getString(text))

    private fun say(text: String) {
        times.text = text
    }

    private companion object {
        const val PICKED = 1
        const val TAKEN = 2
        const val CAMERA = "camera"
        const val OUTSIDE_ALPHA = 40 // of 255: enough to place the next tap
        const val SHOWN_SIDE = 2048.0 // px
    }
}
