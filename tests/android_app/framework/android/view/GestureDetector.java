package android.view;

import android.annotation.Nullable;
import android.content.Context;

public class GestureDetector {
    public interface OnGestureListener {
        boolean onDown(MotionEvent event);
        boolean onSingleTapUp(MotionEvent event);
        void onLongPress(MotionEvent event);
    }
    public static class SimpleOnGestureListener implements OnGestureListener {
        public boolean onDown(MotionEvent event) { return false; }
        public boolean onSingleTapUp(MotionEvent event) { return false; }
        public void onLongPress(MotionEvent event) {}
    }
    public GestureDetector(@Nullable Context context, OnGestureListener listener) {}
    public boolean onTouchEvent(MotionEvent event) { return false; }
}
