package oace.android

import android.content.ContentResolver
import android.graphics.Bitmap
import android.graphics.BitmapFactory
import android.media.ExifInterface
import android.net.Uri
import java.io.IOException

/** Pixels that are read at most: 4096 x 4096. A larger photograph is read at half its sides, or less. */
private const val MOST_PIXELS = 1 shl 24

/**
 * The photograph behind [uri], upright.
 *
 * @throws IOException it cannot be read, or is no picture.
 */
fun ContentResolver.readPhotograph(uri: Uri): Photograph {
    val options = BitmapFactory.Options().apply { inJustDecodeBounds = true }
    open(uri).use { BitmapFactory.decodeStream(it, null, options) }
    if (options.outWidth < 1 || options.outHeight < 1) throw IOException("this is no picture")
    var step = 1
    while ((options.outWidth / step).toLong() * (options.outHeight / step) > MOST_PIXELS) step *= 2
    options.inJustDecodeBounds = false
    options.inSampleSize = step
    options.inPreferredConfig = Bitmap.Config.ARGB_8888
    options.inPremultiplied = false // colours below transparent pixels stay, as in Python
    val bitmap = open(uri).use { BitmapFactory.decodeStream(it, null, options) }
        ?: throw IOException("this picture is damaged")
    val orientation = open(uri).use {
        ExifInterface(it).getAttributeInt(ExifInterface.TAG_ORIENTATION, ExifInterface.ORIENTATION_NORMAL)
    }
    val argb = IntArray(bitmap.width * bitmap.height)
    bitmap.getPixels(argb, 0, bitmap.width, 0, 0, bitmap.width, bitmap.height)
    val stored = Photograph(bitmap.width, bitmap.height, argb)
    bitmap.recycle()
    return TapTensors.upright(stored, orientation)
}

private fun ContentResolver.open(uri: Uri) =
    openInputStream(uri) ?: throw IOException("nothing can be read from $uri")
