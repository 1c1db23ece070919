package android.graphics;

public class Matrix {
    public boolean invert(Matrix inverse) { return false; }
    public void mapPoints(float[] points) {}
}
