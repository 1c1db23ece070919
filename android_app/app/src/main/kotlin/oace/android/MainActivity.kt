package oace.android

import android.annotation.SuppressLint
import android.app.Activity
import android.content.ActivityNotFoundException
import android.content.ContentValues
import android.content.Intent
import android.graphics.Bitmap
import android.graphics.Canvas
import android.graphics.Color
import android.graphics.Matrix
import android.graphics.Paint
import android.net.Uri
import android.os.Build
import android.os.Bundle
import android.os.SystemClock
import android.provider.MediaStore
import android.view.GestureDetector
import android.view.MotionEvent
import android.widget.Button
import android.widget.ImageView
import android.widget.TextView
import java.util.concurrent.Executors
import kotlin.math.max

/** Pick or take a photograph, tap (a long press marks the background), see the cutout and the times. */
class MainActivity : Activity() {
    private lateinit var picture: ImageView
    private lateinit var runsOn: TextView
    private lateinit var times: TextView
    private lateinit var processorButton: Button

    // Of the main thread
    private var taps = listOf<Tap>()
    private var photograph: Photograph? = null
    private var processor = Processor.CPU
    private var maxTaps = 1
    private var camera: Uri? = null // where the camera app was asked to write
    @Volatile private var latest = 0 // number of the last question: answers to older ones are not shown

    // Of the worker, which alone touches the model
    private val worker = Executors.newSingleThreadExecutor()
    private var segmenter: Segmenter? = null
    private var prepared: Photograph? = null
    private val answers = HashMap<List<Tap>, ObjectMask>() // to the taps on this photograph

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        setContentView(R.layout.main)
        picture = requireViewById(R.id.picture)
        runsOn = requireViewById(R.id.runs_on)
        times = requireViewById(R.id.times)
        processorButton = requireViewById(R.id.processor)
        @Suppress("DEPRECATION")
        camera = state?.getParcelable(CAMERA)
        requireViewById<Button>(R.id.pick).setOnClickListener { pick() }
        requireViewById<Button>(R.id.take).setOnClickListener { take() }
        requireViewById<Button>(R.id.undo).setOnClickListener { setTaps(taps.dropLast(1)) }
        requireViewById<Button>(R.id.clear).setOnClickListener { setTaps(listOf()) }
        processorButton.setOnClickListener { load(Processor.entries[(processor.ordinal + 1) % 3]) }
        watchTaps()
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
            val ms = timed { segmenter?.setPhotograph(read) }
            val shown = shown(read.argb, read)
            onMain(question) {
                photograph = read
                taps = listOf()
                picture.setImageBitmap(shown)
                times.text = getString(R.string.prepared, read.width, read.height, ms)
            }
        }
    }

    // --- taps

    @SuppressLint("ClickableViewAccessibility") // a tap has a place: there is nothing to click blindly
    private fun watchTaps() {
        val listener = object : GestureDetector.SimpleOnGestureListener() {
            override fun onDown(event: MotionEvent) = true
            override fun onSingleTapUp(event: MotionEvent) = tapped(event, true).let { true }
            override fun onLongPress(event: MotionEvent) = tapped(event, false)
        }
        val detector = GestureDetector(this, listener)
        picture.setOnTouchListener { _, event -> detector.onTouchEvent(event) }
    }

    private fun tapped(event: MotionEvent, onObject: Boolean) {
        val whole = photograph ?: return
        val drawable = picture.drawable ?: return
        val place = floatArrayOf(event.x - picture.paddingLeft, event.y - picture.paddingTop)
        Matrix().also(picture.imageMatrix::invert).mapPoints(place)
        // from the edges of what is shown, 0 to 1, to pixel centres
        val x = place[0].toDouble() / drawable.intrinsicWidth * whole.width - 0.5
        val y = place[1].toDouble() / drawable.intrinsicHeight * whole.height - 0.5
        if (x !in -0.5..whole.width - 0.5 || y !in -0.5..whole.height - 0.5) return
        val tap = Tap(x, y, onObject)
        when {
            !onObject && maxTaps == 1 -> say(R.string.no_background)
            !onObject && taps.isEmpty() -> say(R.string.object_first)
            maxTaps == 1 -> setTaps(listOf(tap))
            taps.size == maxTaps -> say(R.string.enough_taps)
            else -> setTaps(taps + tap)
        }
    }

    private fun setTaps(wanted: List<Tap>) {
        val whole = photograph ?: return
        val question = ++latest
        // what is left after undo may be background alone: nothing to ask then
        val asked = if (wanted.any { it.onObject }) wanted else listOf()
        taps = asked
        inWorker {
            if (question != latest) return@inWorker // a newer question waits already
            val model = segmenter ?: return@inWorker onMain(question) { say(R.string.no_model) }
            if (asked.isEmpty()) {
                val shown = shown(whole.argb, whole)
                return@inWorker onMain(question) { picture.setImageBitmap(shown) }
            }
            lateinit var mask: ObjectMask
            lateinit var pixels: IntArray
            val before = if (model.takesGestures) answers[asked.dropLast(1)] else null
            val answer = timed { mask = model.segment(Gesture(asked), before) }
            answers[asked] = mask
            val cut = timed { pixels = TapTensors.cutout(whole, mask, OUTSIDE_ALPHA) }
            val shown = shown(pixels, whole, asked)
            onMain(question) {
                picture.setImageBitmap(shown)
                times.text = getString(R.string.answered, answer, cut)
            }
        }
    }

    /** What stands on the screen: [pixels] of [whole] at 2048 px or less, with the taps. */
    private fun shown(pixels: IntArray, whole: Photograph, marks: List<Tap> = listOf()): Bitmap {
        val full = Bitmap.createBitmap(pixels, whole.width, whole.height, Bitmap.Config.ARGB_8888)
        val scale = minOf(1.0, SHOWN_SIDE / max(whole.width, whole.height))
        val small = Bitmap.createScaledBitmap(
            full, max(1, (whole.width * scale).toInt()), max(1, (whole.height * scale).toInt()), true)
        val bitmap = small.copy(Bitmap.Config.ARGB_8888, true)
        bitmap.density = Bitmap.DENSITY_NONE // its pixels are its size
        val canvas = Canvas(bitmap)
        val radius = max(bitmap.width, bitmap.height) / 80f
        val paint = Paint(Paint.ANTI_ALIAS_FLAG)
        for (tap in marks) {
            val x = ((tap.x + 0.5) / whole.width * bitmap.width).toFloat()
            val y = ((tap.y + 0.5) / whole.height * bitmap.height).toFloat()
            paint.color = Color.WHITE
            canvas.drawCircle(x, y, radius * 1.4f, paint)
            paint.color = if (tap.onObject) Color.rgb(0, 140, 60) else Color.rgb(200, 30, 30)
            canvas.drawCircle(x, y, radius, paint)
        }
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
            val ms = timed { segmenter = openSegmenter(this, wanted) }
            val opened = checkNotNull(segmenter)
            prepared?.let(opened::setPhotograph)
            runOnUiThread {
                maxTaps = opened.maxTaps
                runsOn.text = getString(R.string.loaded, ms, opened.runsOn)
                if (taps.isNotEmpty()) setTaps(taps)
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
