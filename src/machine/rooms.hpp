// The simulated machines that have files of their own; the catalogue (room_catalog.cpp) lists them. Thread promise and
// ownership: as RoomBuilder.
#pragma once

namespace prony {

class RoomBuilder;

void room_jetson_orin(RoomBuilder& room);
void room_xavier(RoomBuilder& room);
void room_mi300(RoomBuilder& room);
void room_arc(RoomBuilder& room);

}  // namespace prony
