package oace.android

import android.content.ClipData
import android.content.ClipboardManager
import android.content.ContentResolver
import android.content.ContentValues
import android.content.Context
import android.content.Intent
import android.graphics.Bitmap
import android.net.Uri
import android.os.Environment
import android.provider.MediaStore
import java.io.IOException

/*
 * Cutouts among the phone's pictures. What is shared or copied lies there too: the other app then
 * reads it by the address that the system's picture store gave out, and no provider of ours is needed.
 */

private const val FOLDER = "OACE"
private const val PNG = "image/png"

/**
 * Saves a cutout as a PNG below Pictures/OACE and returns its address. From Android 10 on this takes
 * no permission.
 *
 * @throws IOException the store gives no place, or writing fails
 */
fun ContentResolver.saveCutout(cutout: Bitmap, name: String): Uri {
    val entry = ContentValues().apply {
        put(MediaStore.MediaColumns.DISPLAY_NAME, name)
        put(MediaStore.MediaColumns.MIME_TYPE, PNG)
        put(MediaStore.MediaColumns.RELATIVE_PATH, "${Environment.DIRECTORY_PICTURES}/$FOLDER")
        put(MediaStore.MediaColumns.IS_PENDING, 1) // seen by nobody before it is whole
    }
    val uri = insert(MediaStore.Images.Media.EXTERNAL_CONTENT_URI, entry)
        ?: throw IOException("there is no place for a new picture; free some storage")
    try {
        val written = openOutputStream(uri)?.use { cutout.compress(Bitmap.CompressFormat.PNG, 100, it) }
        if (written != true) throw IOException("the cutout could not be written; free some storage")
        update(uri, ContentValues().apply { put(MediaStore.MediaColumns.IS_PENDING, 0) }, null, null)
        return uri
    } catch (error: Exception) {
        delete(uri, null, null)
        throw error
    }
}

/** Whether the picture still stands there; a person may have deleted it. */
fun ContentResolver.holds(uri: Uri): Boolean = try {
    openFileDescriptor(uri, "r")?.close() != null
} catch (error: IOException) {
    false
}

/** Asks the system which app a saved cutout is for. */
fun shareIntent(uri: Uri): Intent {
    val send = Intent(Intent.ACTION_SEND).setType(PNG).putExtra(Intent.EXTRA_STREAM, uri)
    send.clipData = ClipData.newRawUri(null, uri) // the permission to read goes to what stands here
    return Intent.createChooser(send.addFlags(Intent.FLAG_GRANT_READ_URI_PERMISSION), null)
}

/** Puts a saved cutout on the clipboard. */
fun Context.copyCutout(uri: Uri) {
    getSystemService(ClipboardManager::class.java)
        .setPrimaryClip(ClipData.newUri(contentResolver, getString(R.string.app), uri))
}
