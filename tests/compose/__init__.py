"""The bot in containers: a real Docker Engine, the real images, the real docker-compose.yml."""
