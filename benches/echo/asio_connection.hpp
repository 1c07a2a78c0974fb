/* One connection of the echo servers on Asio. */
#ifndef BENCHES_ASIO_CONNECTION_HPP
#define BENCHES_ASIO_CONNECTION_HPP

#include <asio.hpp>

#include <array>
#include <memory>

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

#endif
