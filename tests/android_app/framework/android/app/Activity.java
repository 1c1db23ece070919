package android.app;

import android.annotation.Nullable;
import android.content.Context;
import android.content.Intent;
import android.os.Bundle;
import android.view.View;

public class Activity extends Context {
    public static final int RESULT_OK = -1;
    protected void onCreate(@Nullable Bundle state) {}
    protected void onSaveInstanceState(Bundle state) {}
    protected void onDestroy() {}
    protected void onActivityResult(int request, int result, @Nullable Intent data) {}
    public void setContentView(int layout) {}
    public final <T extends View> T requireViewById(int id) { return null; }
    public void startActivityForResult(Intent intent, int request) {}
    public final void runOnUiThread(Runnable task) {}
    public boolean isDestroyed() { return false; }
}
