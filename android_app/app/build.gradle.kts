import javax.inject.Inject
import org.gradle.api.file.FileSystemOperations

plugins {
    alias(libs.plugins.android.application)
}

android {
    namespace = "oace.android"
    compileSdk = 36

    defaultConfig {
        applicationId = "oace.android"
        minSdk = 29 // from here on a picture is written, by the camera app and by ours, without a permission
        targetSdk = 36
        versionCode = 1
        versionName = "0.1.0"
        ndk {
            abiFilters += listOf("arm64-v8a", "x86_64") // phones and emulators; no 32-bit code in the APK
        }
    }

    flavorDimensions += "runtime"
    productFlavors {
        create("litert") {
            dimension = "runtime"
            isDefault = true
        }
        create("mediapipe") {
            dimension = "runtime"
            applicationIdSuffix = ".mediapipe"
        }
    }

    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_17
        targetCompatibility = JavaVersion.VERSION_17
    }

    androidResources {
        noCompress += "tflite" // the runtime maps the model straight from the APK
    }
}

dependencies {
    "litertImplementation"(project(":segmenter"))
    "mediapipeImplementation"(project(":segmenter")) { // for all but LiteRtModel
        exclude(group = "com.google.ai.edge.litert")
    }
    "mediapipeImplementation"(libs.mediapipe.vision)
}

/** Puts the model of a variant among its assets: there is no second copy in the repository. */
abstract class CopyModel : DefaultTask() {
    @get:InputFile
    abstract val model: RegularFileProperty

    @get:OutputDirectory
    abstract val assets: DirectoryProperty

    @get:Inject
    abstract val files: FileSystemOperations

    @TaskAction
    fun copy() {
        files.sync {
            from(model)
            into(assets)
        }
    }
}

// From the repository's root. The second one is made by
//     python export/quantize.py --int8 --interface mediapipe
val models = mapOf(
    "litert" to "oace_tf/weights/oace_int8.tflite",
    "mediapipe" to "build/oace_int8_mediapipe.tflite",
)

androidComponents {
    onVariants { variant ->
        val name = variant.name.replaceFirstChar(Char::uppercase)
        val copy = tasks.register<CopyModel>("copyModel$name") {
            model = rootProject.layout.projectDirectory.file("../" + models.getValue(variant.flavorName!!))
        }
        variant.sources.assets?.addGeneratedSourceDirectory(copy, CopyModel::assets)
    }
}
