package android.content;

import android.annotation.Nullable;
import android.net.Uri;
import android.os.ParcelFileDescriptor;
import java.io.FileNotFoundException;
import java.io.InputStream;
import java.io.OutputStream;

public abstract class ContentResolver {
    @Nullable public final InputStream openInputStream(Uri uri) throws FileNotFoundException { return null; }
    @Nullable public final OutputStream openOutputStream(Uri uri) throws FileNotFoundException { return null; }
    @Nullable public final ParcelFileDescriptor openFileDescriptor(Uri uri, String mode) throws FileNotFoundException { return null; }
    @Nullable public final Uri insert(Uri collection, @Nullable ContentValues values) { return null; }
    public final int update(Uri uri, @Nullable ContentValues values, @Nullable String where, @Nullable String[] arguments) { return 0; }
    public final int delete(Uri uri, @Nullable String where, @Nullable String[] arguments) { return 0; }
}
