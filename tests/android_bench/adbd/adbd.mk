# adbd (Android 10) for a Linux host, from Debian's source package android-platform-tools.
# Called by build.sh with PREFIX, OUT and OBJ; NOAUTH= gives a daemon that asks for authorisation.
A = system/core/adb
SRC = $(addprefix $(A)/,adb.cpp adb_io.cpp adb_listeners.cpp adb_trace.cpp adb_unique_fd.cpp \
  adb_utils.cpp fdevent/fdevent.cpp fdevent/fdevent_poll.cpp fdevent/fdevent_epoll.cpp services.cpp \
  sockets.cpp socket_spec.cpp sysdeps/errno.cpp transport.cpp transport_fd.cpp transport_local.cpp \
  transport_usb.cpp types.cpp sysdeps_unix.cpp sysdeps/posix/network.cpp daemon/auth.cpp \
  daemon/jdwp_service.cpp daemon/usb_dummy.cpp daemon/file_sync_service.cpp daemon/services.cpp \
  daemon/shell_service.cpp shell_service_protocol.cpp daemon/main.cpp \
  adbconnection/adbconnection_server.cpp) \
  system/core/diagnose_usb/diagnose_usb.cpp system/core/libasyncio/AsyncIO.cpp \
  frameworks/native/libs/adbd_auth/adbd_auth.cpp
OBJECTS = $(patsubst %.cpp,$(OBJ)/%.o,$(SRC)) $(OBJ)/android_pubkey.o
NOAUTH ?= -DALLOW_ADBD_NO_AUTH
FLAGS = -O1 -w -fPIC -D_GNU_SOURCE -DADB_HOST=0 -DALLOW_ADBD_ROOT=1 $(NOAUTH) \
  -DPLATFORM_TOOLS_VERSION='"29.0.6"' -DADB_VERSION='"29.0.6-28"' -I$(PREFIX)/overlay \
  -I$(PREFIX)/usr/include -I$(PREFIX)/usr/include/android -I$(A) -I$(A)/daemon/include \
  -Isystem/core/base/include -Isystem/core/include -Isystem/core/diagnose_usb/include \
  -Isystem/core/libcrypto_utils/include -Isystem/core/libcutils/include \
  -Isystem/core/libasyncio/include -Isystem/core/liblog/include -I$(A)/adbconnection/include \
  -Iframeworks/native/libs/adbd_auth/include
MULTIARCH := $(shell gcc -print-multiarch)
LIBS = $(PREFIX)/usr/lib/$(MULTIARCH)/android

$(OUT): $(OBJECTS)
	g++ -o $@ $^ -L$(LIBS) -L$(PREFIX)/usr/lib/$(MULTIARCH) -Wl,-rpath='$$ORIGIN/lib' \
	  -Wl,-rpath-link=$(LIBS) -lbase -lcutils -llog -lcrypto -lcap -lresolv -lutil -lpthread

$(OBJ)/%.o: %.cpp
	@mkdir -p $(@D)
	g++ -std=gnu++2a -include atomic -include optional -include mutex $(FLAGS) -c -o $@ $<

$(OBJ)/android_pubkey.o: system/core/libcrypto_utils/android_pubkey.c
	@mkdir -p $(@D)
	gcc $(FLAGS) -c -o $@ $<
