package com.google.mediapipe.framework.image;

import java.io.Closeable;

public class MPImage implements Closeable {
    public int getWidth() { return 0; }
    public int getHeight() { return 0; }
    public void close() {}
}
