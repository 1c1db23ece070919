package android.content;

import android.content.res.AssetManager;
import android.content.res.Resources;
import java.io.File;

public abstract class Context {
    public AssetManager getAssets() { return null; }
    public Resources getResources() { return null; }
    public ContentResolver getContentResolver() { return null; }
    public File getCodeCacheDir() { return null; }
    public final String getString(int id) { return null; }
    public final String getString(int id, Object... arguments) { return null; }
    public final <T> T getSystemService(Class<T> service) { return null; }
    public void startActivity(Intent intent) {}
}
