/* An io_context a thread, each with a listener of its own and no locks: faster than one that threads share, and
 * callbacks are faster than coroutines. */
#include <memory>
#include <thread>
#include <vector>

#include "echo/asio_connection.hpp"
#include "harness/server.h"

struct worker {
    asio::io_context context{ASIO_CONCURRENCY_HINT_UNSAFE};
    tcp::acceptor acceptor{context};

    explicit worker(const struct server_arguments &arguments) {
        acceptor.assign(tcp::v4(), server_listen(&arguments, 0));
    }

    void accept() {
        acceptor.async_accept([this](std::error_code error, tcp::socket socket) {
            if (!error) std::make_shared<connection>(std::move(socket))->read();
            accept();
        });
    }

    void work(bool spin) {
        accept();
        while (spin) context.poll();
        context.run();
    }
};

int main(int argc, char **argv) {
    struct server_arguments arguments = server_arguments(argc, argv);
    std::vector<std::unique_ptr<worker>> workers;
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < arguments.workers; i++) workers.push_back(std::make_unique<worker>(arguments));
    for (unsigned i = 1; i < arguments.workers; i++)
        threads.emplace_back([&, i] { workers[i]->work(arguments.spin); });
    workers[0]->work(arguments.spin);
}
