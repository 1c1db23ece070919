package android.graphics;

import java.io.OutputStream;

public final class Bitmap {
    public static final int DENSITY_NONE = 0;
    public enum CompressFormat { JPEG, PNG }
    public enum Config { ALPHA_8, RGB_565, ARGB_8888 }
    public static Bitmap createBitmap(int[] colors, int width, int height, Config config) { return null; }
    public static Bitmap createScaledBitmap(Bitmap source, int width, int height, boolean filter) { return null; }
    public boolean compress(CompressFormat format, int quality, OutputStream stream) { return false; }
    public void setDensity(int density) {}
    public int getDensity() { return 0; }
    public int getWidth() { return 0; }
    public int getHeight() { return 0; }
    public void getPixels(int[] pixels, int offset, int stride, int x, int y, int width, int height) {}
    public void recycle() {}
}
