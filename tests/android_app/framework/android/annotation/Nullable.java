package android.annotation;

public @interface Nullable {}
