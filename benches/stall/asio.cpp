/* One io_context that all threads run: what is ready waits for whichever thread is free. */
#include <chrono>
#include <thread>
#include <vector>

#include "echo/asio_connection.hpp"
#include "harness/server.h"

static void accept(tcp::acceptor &acceptor) {
    acceptor.async_accept([&](std::error_code error, tcp::socket socket) {
        if (!error) std::make_shared<connection>(std::move(socket))->read();
        accept(acceptor);
    });
}

static void burn(asio::steady_timer &timer) {
    server_burn();
    timer.expires_after(std::chrono::milliseconds(SERVER_PAUSE_MS));
    timer.async_wait([&](std::error_code) { burn(timer); });
}

int main(int argc, char **argv) {
    struct server_arguments arguments = server_arguments(argc, argv);
    asio::io_context context(static_cast<int>(arguments.workers));
    tcp::acceptor acceptor(context);
    asio::steady_timer timer(context);
    std::vector<std::thread> threads;
    acceptor.assign(tcp::v4(), server_listen(&arguments, 0));
    accept(acceptor);
    if (arguments.burn) asio::post(context, [&] { burn(timer); });
    for (unsigned i = 1; i < arguments.workers; i++) threads.emplace_back([&] { context.run(); });
    context.run();
}
