/* An io_context a thread, each with a listener of its own and no locks: faster than one that threads share, and
 * callbacks are faster than coroutines. */
#include <asio.hpp>

#include <array>
#include <memory>
#include <thread>
#include <vector>

#include "harness/server.h"

using asio::ip::tcp;

class connection : public std::enable_shared_from_this<connection> {
    tcp::socket socket;
    std::array<char, 4096> buffer;

    void write(std::size_t length) {
        asio::async_write(socket, asio::buffer(buffer, length),
                          [self = shared_from_this()](std::error_code error, std::size_t) {
                              if (!error) self->read();
                          });
    }

public:
    explicit connection(tcp::socket accepted) : socket(std::move(accepted)) {
        socket.set_option(tcp::no_delay(true));
    }

    void read() {
        socket.async_read_some(asio::buffer(buffer),
                               [self = shared_from_this()](std::error_code error, std::size_t length) {
                                   if (!error) self->write(length);
                               });
    }
};

struct worker {
    asio::io_context context{ASIO_CONCURRENCY_HINT_UNSAFE};
    tcp::acceptor acceptor{context};

    explicit worker(const struct server_arguments &arguments) { acceptor.assign(tcp::v4(), server_listen(&arguments, 0)); }

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
