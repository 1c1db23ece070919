package com.google.mediapipe.tasks.core;

public abstract class BaseOptions {
    public abstract static class Builder {
        public abstract Builder setModelAssetPath(String path);
        public abstract Builder setDelegate(Delegate delegate);
        public final BaseOptions build() { return null; }
    }
    public static Builder builder() { return null; }
}
