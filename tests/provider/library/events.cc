// Events of completion channels and of the device, and what completions and events are called.
#include <sys/socket.h>

#include <cerrno>

#include "tests/provider/library/context.h"

using netsense::provider::Context;
using netsense::provider::Pair;
using netsense::provider::Queue;
namespace wire = netsense::provider::wire;

namespace {

void Acknowledge(pthread_mutex_t* mutex, pthread_cond_t* changed, uint32_t* acknowledged, unsigned events) {
  pthread_mutex_lock(mutex);
  *acknowledged += events;
  pthread_cond_signal(changed);
  pthread_mutex_unlock(mutex);
}

template <typename T>
bool Take(int fd, T* event) {
  const ssize_t got = recv(fd, event, sizeof(*event), 0);
  if (got == 0) errno = EIO;  // the fabric is gone
  return got == sizeof(*event);
}

}  // namespace

extern "C" {

int ibv_get_cq_event(ibv_comp_channel* channel, ibv_cq** queue, void** cookie) {
  uint32_t handle = 0;
  while (Take(channel->fd, &handle)) {
    Queue* found = static_cast<Context*>(channel->context)->FindQueue(handle);
    if (found == nullptr) continue;  // destroyed meanwhile
    ++found->events_read;
    *queue = found;
    *cookie = found->cq_context;
    return 0;
  }
  return -1;
}

void ibv_ack_cq_events(ibv_cq* queue, unsigned events) {
  Acknowledge(&queue->mutex, &queue->cond, &queue->comp_events_completed, events);
}

int ibv_get_async_event(ibv_context* context, ibv_async_event* event) {
  wire::AsyncEvent told{};
  while (Take(context->async_fd, &told)) {
    *event = {};
    event->event_type = told.type;
    switch (told.type) {
      case IBV_EVENT_CQ_ERR:
        if (Queue* queue = static_cast<Context*>(context)->FindQueue(told.element)) {
          ++queue->async_events_read;
          event->element.cq = queue;
          return 0;
        }
        continue;  // destroyed meanwhile
      case IBV_EVENT_QP_FATAL:
      case IBV_EVENT_QP_REQ_ERR:
      case IBV_EVENT_QP_ACCESS_ERR:
      case IBV_EVENT_COMM_EST:
      case IBV_EVENT_SQ_DRAINED:
        if (Pair* pair = static_cast<Context*>(context)->FindPair(told.element)) {
          ++pair->events_read;
          event->element.qp = pair;
          return 0;
        }
        continue;
      default:
        event->element.port_num = static_cast<int>(told.element);
        return 0;
    }
  }
  return -1;
}

void ibv_ack_async_event(ibv_async_event* event) {
  switch (event->event_type) {
    case IBV_EVENT_CQ_ERR: {
      ibv_cq* queue = event->element.cq;
      return Acknowledge(&queue->mutex, &queue->cond, &queue->async_events_completed, 1);
    }
    case IBV_EVENT_QP_FATAL:
    case IBV_EVENT_QP_REQ_ERR:
    case IBV_EVENT_QP_ACCESS_ERR:
    case IBV_EVENT_COMM_EST:
    case IBV_EVENT_SQ_DRAINED: {
      ibv_qp* pair = event->element.qp;
      return Acknowledge(&pair->mutex, &pair->cond, &pair->events_completed, 1);
    }
    default:
      return;
  }
}

const char* ibv_wc_status_str(ibv_wc_status status) {
  switch (status) {
    case IBV_WC_SUCCESS:
      return "success";
    case IBV_WC_LOC_LEN_ERR:
      return "local length error";
    case IBV_WC_LOC_QP_OP_ERR:
      return "local QP operation error";
    case IBV_WC_LOC_PROT_ERR:
      return "local protection error";
    case IBV_WC_WR_FLUSH_ERR:
      return "Work Request Flushed Error";
    case IBV_WC_REM_INV_REQ_ERR:
      return "remote invalid request error";
    case IBV_WC_REM_ACCESS_ERR:
      return "remote access error";
    case IBV_WC_REM_OP_ERR:
      return "remote operation error";
    case IBV_WC_RETRY_EXC_ERR:
      return "transport retry counter exceeded";
    case IBV_WC_RNR_RETRY_EXC_ERR:
      return "RNR retry counter exceeded";
    default:
      return "unknown";
  }
}

const char* ibv_event_type_str(ibv_event_type type) {
  switch (type) {
    case IBV_EVENT_CQ_ERR:
      return "CQ error";
    case IBV_EVENT_QP_FATAL:
      return "local work queue catastrophic error";
    case IBV_EVENT_QP_REQ_ERR:
      return "invalid request local work queue error";
    case IBV_EVENT_QP_ACCESS_ERR:
      return "local access violation work queue error";
    case IBV_EVENT_COMM_EST:
      return "communication established";
    case IBV_EVENT_SQ_DRAINED:
      return "send queue drained";
    case IBV_EVENT_DEVICE_FATAL:
      return "local catastrophic error";
    case IBV_EVENT_PORT_ACTIVE:
      return "port active";
    case IBV_EVENT_PORT_ERR:
      return "port error";
    case IBV_EVENT_LID_CHANGE:
      return "LID change";
    case IBV_EVENT_GID_CHANGE:
      return "GID table change";
    default:
      return "unknown";
  }
}

}  // extern "C"
