package com.google.mediapipe.tasks.components.containers;

public abstract class NormalizedKeypoint {
    public static NormalizedKeypoint create(float x, float y) { return null; }
}
