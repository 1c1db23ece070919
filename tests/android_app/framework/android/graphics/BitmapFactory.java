package android.graphics;

import android.annotation.Nullable;
import java.io.InputStream;

public class BitmapFactory {
    public static class Options {
        public boolean inJustDecodeBounds;
        public boolean inPremultiplied;
        public Bitmap.Config inPreferredConfig;
        public int inSampleSize;
        public int outHeight;
        public int outWidth;
    }
    @Nullable public static Bitmap decodeStream(@Nullable InputStream stream, @Nullable Rect padding, @Nullable Options options) { return null; }
}
