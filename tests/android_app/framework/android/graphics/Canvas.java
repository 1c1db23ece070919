package android.graphics;

public class Canvas {
    public void drawCircle(float x, float y, float radius, Paint paint) {}
    public void drawLine(float x, float y, float toX, float toY, Paint paint) {}
    public void drawRect(float left, float top, float right, float bottom, Paint paint) {}
}
