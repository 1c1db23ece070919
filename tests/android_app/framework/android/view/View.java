package android.view;

import android.annotation.Nullable;
import android.content.Context;
import android.content.res.Resources;
import android.graphics.Canvas;
import android.util.AttributeSet;

public class View {
    public static final int VISIBLE = 0;
    public static final int GONE = 8;
    public interface OnClickListener { void onClick(View view); }
    public View(Context context) {}
    public View(Context context, @Nullable AttributeSet attributes) {}
    protected void onDraw(Canvas canvas) {}
    public boolean onTouchEvent(MotionEvent event) { return false; }
    public void invalidate() {}
    public Resources getResources() { return null; }
    public int getPaddingLeft() { return 0; }
    public int getPaddingTop() { return 0; }
    public boolean isEnabled() { return true; }
    public void setEnabled(boolean enabled) {}
    public int getVisibility() { return VISIBLE; }
    public void setVisibility(int visibility) {}
    public void setOnClickListener(@Nullable OnClickListener listener) {}
}
