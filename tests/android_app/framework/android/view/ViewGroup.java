package android.view;

import android.content.Context;
import android.util.AttributeSet;

public abstract class ViewGroup extends View {
    public static class LayoutParams {
        public static final int WRAP_CONTENT = -2;
    }
    public ViewGroup(Context context, AttributeSet attributes) { super(context, attributes); }
    public void addView(View child, LayoutParams parameters) {}
    public void removeAllViews() {}
}
