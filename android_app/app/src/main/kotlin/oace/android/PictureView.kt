package oace.android

import android.annotation.SuppressLint
import android.content.Context
import android.graphics.Canvas
import android.graphics.Color
import android.graphics.Matrix
import android.graphics.Paint
import android.util.AttributeSet
import android.view.GestureDetector
import android.view.MotionEvent
import android.view.ViewConfiguration
import android.widget.ImageView
import kotlin.math.hypot
import kotlin.math.max
import kotlin.math.min

/** The photograph or cutout with what was drawn on it, and the finger that draws. */
class PictureView(context: Context, attributes: AttributeSet?) : ImageView(context, attributes) {
    /** The photograph that is shown, in whatever size; without one nothing is drawn. */
    var photograph: Photograph? = null

    var mode = Mode.TAP

    var drawing = Drawing()
        set(value) {
            field = value
            invalidate()
        }

    /** A finger was put down and lifted: where, and whether it stayed long. */
    var onTap: (Place, Boolean) -> Unit = { _, _ -> }

    /** A finger moved: its places, at least two; those beside the photograph moved to its edge. */
    var onStroke: (List<Place>) -> Unit = {}

    private val path = mutableListOf<Place>() // under the finger, in pixels of the view
    private val density = resources.displayMetrics.density
    private val slop = ViewConfiguration.get(context).scaledTouchSlop
    private val paint = Paint(Paint.ANTI_ALIAS_FLAG)

    private val taps = GestureDetector(context, object : GestureDetector.SimpleOnGestureListener() {
        override fun onDown(event: MotionEvent) = true
        override fun onSingleTapUp(event: MotionEvent) = tapped(event, false).let { true }
        override fun onLongPress(event: MotionEvent) = tapped(event, true)
    })

    @SuppressLint("ClickableViewAccessibility") // a tap has a place: there is nothing to click blindly
    override fun onTouchEvent(event: MotionEvent): Boolean {
        if (!mode.strokes) return taps.onTouchEvent(event)
        when (event.actionMasked) {
            MotionEvent.ACTION_DOWN -> path.clear().also { add(event) }
            MotionEvent.ACTION_MOVE -> add(event)
            MotionEvent.ACTION_UP -> add(event).also { lifted() }
            MotionEvent.ACTION_CANCEL -> path.clear()
        }
        invalidate()
        return true
    }

    private fun add(event: MotionEvent) {
        path += Place(event.x.toDouble(), event.y.toDouble())
    }

    private fun lifted() {
        val whole = photograph
        val moved = path.any { hypot(it.x - path[0].x, it.y - path[0].y) > slop }
        val places = path.mapNotNull { onPhotograph(it) }
        path.clear()
        if (whole == null || places.isEmpty()) return
        if (moved) onStroke(places.map { inside(it, whole) }) else tapped(places[0], false)
    }

    private fun tapped(event: MotionEvent, long: Boolean) {
        onPhotograph(Place(event.x.toDouble(), event.y.toDouble()))?.let { tapped(it, long) }
    }

    private fun tapped(place: Place, long: Boolean) {
        val whole = photograph ?: return
        if (place == inside(place, whole)) onTap(place, long)
    }

    private fun inside(place: Place, whole: Photograph) = Place(
        min(max(place.x, -0.5), whole.width - 0.5), min(max(place.y, -0.5), whole.height - 0.5))

    // From the edges of what is shown, 0 to 1, to pixel centres
    private fun onPhotograph(place: Place): Place? {
        val whole = photograph ?: return null
        val shown = drawable ?: return null
        val point = floatArrayOf((place.x - paddingLeft).toFloat(), (place.y - paddingTop).toFloat())
        Matrix().also(imageMatrix::invert).mapPoints(point)
        return Place(
            point[0].toDouble() / shown.intrinsicWidth * whole.width - 0.5,
            point[1].toDouble() / shown.intrinsicHeight * whole.height - 0.5)
    }

    private fun onView(place: Place, whole: Photograph): Pair<Float, Float> {
        val shown = checkNotNull(drawable)
        val point = floatArrayOf(
            ((place.x + 0.5) / whole.width * shown.intrinsicWidth).toFloat(),
            ((place.y + 0.5) / whole.height * shown.intrinsicHeight).toFloat())
        imageMatrix.mapPoints(point)
        return point[0] + paddingLeft to point[1] + paddingTop
    }

    override fun onDraw(canvas: Canvas) {
        super.onDraw(canvas)
        val whole = photograph ?: return
        if (drawable == null) return
        drawing.box?.let { box(canvas, onView(it.from, whole), onView(it.to, whole)) }
        drawing.drag?.let { line(canvas, listOf(onView(it.from, whole), onView(it.to, whole))) }
        drawing.drag?.let { dot(canvas, onView(it.from, whole), OBJECT) }
        drawing.extreme.forEach { dot(canvas, onView(it, whole), OUTLINE) }
        drawing.taps.forEach {
            dot(canvas, onView(Place(it.x, it.y), whole), if (it.onObject) OBJECT else BACKGROUND)
        }
        val finger = path.map { it.x.toFloat() to it.y.toFloat() }
        when {
            finger.size < 2 -> Unit
            mode == Mode.BOX -> box(canvas, finger.first(), finger.last())
            mode == Mode.DRAG -> line(canvas, listOf(finger.first(), finger.last()))
            else -> line(canvas, finger)
        }
    }

    private fun dot(canvas: Canvas, at: Pair<Float, Float>, color: Int) {
        paint.style = Paint.Style.FILL
        paint.color = Color.WHITE
        canvas.drawCircle(at.first, at.second, 6 * density, paint)
        paint.color = color
        canvas.drawCircle(at.first, at.second, 4 * density, paint)
    }

    // White below the colour: seen on every photograph
    private fun box(canvas: Canvas, from: Pair<Float, Float>, to: Pair<Float, Float>) = twice {
        canvas.drawRect(min(from.first, to.first), min(from.second, to.second),
            max(from.first, to.first), max(from.second, to.second), paint)
    }

    private fun line(canvas: Canvas, points: List<Pair<Float, Float>>) = twice {
        for ((a, b) in points.zipWithNext()) canvas.drawLine(a.first, a.second, b.first, b.second, paint)
    }

    private inline fun twice(draw: () -> Unit) {
        paint.style = Paint.Style.STROKE
        paint.color = Color.WHITE
        paint.strokeWidth = 4 * density
        draw()
        paint.color = OUTLINE
        paint.strokeWidth = 2 * density
        draw()
    }

    private companion object {
        val OBJECT = Color.rgb(0, 140, 60)
        val BACKGROUND = Color.rgb(200, 30, 30)
        val OUTLINE = Color.rgb(0, 90, 200)
    }
}
