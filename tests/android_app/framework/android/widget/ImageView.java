package android.widget;

import android.annotation.Nullable;
import android.content.Context;
import android.graphics.Bitmap;
import android.graphics.Matrix;
import android.graphics.drawable.Drawable;
import android.util.AttributeSet;
import android.view.View;

public class ImageView extends View {
    public ImageView(Context context, @Nullable AttributeSet attributes) { super(context, attributes); }
    public Drawable getDrawable() { return null; }
    public Matrix getImageMatrix() { return null; }
    public void setImageBitmap(Bitmap bitmap) {}
}
