"""A button of another maker: it knows the server's address, its id and its password, and speaks MQTT.

It tries another's topic, presses for help on its own, and says when that was acknowledged. Then it waits until it is shown
out, and says whether it may come back.
"""

import json
import os
import sys
import threading
import time

from paho.mqtt import client as mqtt

HOST = os.environ["MQTT_HOST"]
PORT = int(os.environ["MQTT_PORT"])
DEVICE = os.environ["MQTT_DEVICE"]
PASSWORD = os.environ["MQTT_PASSWORD"]
PATIENCE = 60


def say(*words):
    print(*words, flush=True)


def button(password):
    made = mqtt.Client(
        mqtt.CallbackAPIVersion.VERSION2, client_id=f"{DEVICE}:1", protocol=mqtt.MQTTv311
    )
    made.username_pw_set(DEVICE, password)
    return made


def may_connect(password):
    """Whether the server lets the button in."""
    answered, code = threading.Event(), []

    def on_connect(_client, _data, _flags, reason, _properties):
        code.append(reason)
        answered.set()

    one = button(password)
    one.on_connect = on_connect
    one.on_disconnect = lambda *_: answered.set()
    one.connect(HOST, PORT)
    one.loop_start()
    answered.wait(PATIENCE)
    one.loop_stop()
    return bool(code) and not code[0].is_failure


def signal(name, kind):
    now = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(1731290400))
    return json.dumps({"signal_id": name, "kind": kind, "device_time": now})


def main():
    say("wrong password:", "let in" if may_connect("wrong") else "refused")
    one = button(PASSWORD)
    gone = threading.Event()
    connected = threading.Event()
    one.on_connect = lambda _client, _data, _flags, reason, _properties: (
        None if reason.is_failure else connected.set()
    )
    one.on_disconnect = lambda *_: gone.set()
    one.connect(HOST, PORT)
    one.loop_start()
    assert connected.wait(PATIENCE), "not connected"
    one.publish("eldercare/signals/SOMEBODY-ELSE", signal("x", "PRESS"), qos=1).wait_for_publish(PATIENCE)
    press = one.publish(f"eldercare/signals/{DEVICE}", signal("1", "PRESS"), qos=1)
    press.wait_for_publish(PATIENCE)
    say("acknowledged:", time.time())
    assert gone.wait(PATIENCE), "still let in"
    one.loop_stop()
    say("shown out")
    say("back again:", "let in" if may_connect(PASSWORD) else "refused")
    return 0


sys.exit(main())
