package com.google.mediapipe.framework.image;

import java.nio.ByteBuffer;

public class ByteBufferExtractor {
    public static ByteBuffer extract(MPImage image) { return null; }
}
