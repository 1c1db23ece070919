package android.view;

import android.content.Context;

public class ViewConfiguration {
    public static ViewConfiguration get(Context context) { return null; }
    public int getScaledTouchSlop() { return 0; }
}
