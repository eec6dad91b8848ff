"""The afternoon version: what most people write for this system, in one afternoon, as tutorials show it.

Flask on waitress; requests for the hop; SQLAlchemy's ORM; a new connection to the broker for each order,
no confirms. It is measured as it is: nothing here is slowed down or speeded up. It has no consumer, since
none runs while orders are measured.

Usage: afternoon.py gateway | inventory, with DATABASE and BROKER (URLs) in the environment
"""

# mypy: ignore-errors
import json
import os
import sys

import pika
import requests
from flask import Flask, Response, jsonify, request
from sqlalchemy import Column, Integer, String, Text, create_engine
from sqlalchemy.orm import declarative_base, sessionmaker
from waitress import serve

QUEUE = "afternoon_queue"
INVENTORY = "http://afternoon-inventory:8080"
Base = declarative_base()
app = Flask(__name__)


class Movie(Base):
    __tablename__ = "movies"
    id = Column(Integer, primary_key=True)
    title = Column(String(255), nullable=False)
    description = Column(Text, nullable=False)

    def to_dict(self):
        return {"id": self.id, "title": self.title, "description": self.description}


def inventory():
    engine = create_engine(os.environ["DATABASE"])
    Base.metadata.create_all(engine)
    Session = sessionmaker(bind=engine)

    @app.get("/api/movies")
    def list_movies():
        with Session() as session:
            query = session.query(Movie).order_by(Movie.id)
            if title := request.args.get("title"):
                query = query.filter(Movie.title.ilike(f"%{title}%"))
            if limit := request.args.get("limit"):
                query = query.limit(int(limit))
            return jsonify([movie.to_dict() for movie in query.all()])

    @app.get("/api/movies/<int:number>")
    def get_movie(number):
        with Session() as session:
            movie = session.get(Movie, number)
            return jsonify(movie.to_dict()) if movie else (jsonify(error="not found"), 404)

    @app.post("/api/movies")
    def create_movie():
        data = request.get_json()
        with Session() as session:
            movie = Movie(title=data["title"], description=data["description"])
            session.add(movie)
            session.commit()
            return jsonify(movie.to_dict()), 201

    serve(app, host="0.0.0.0", port=8080)


def gateway():
    @app.route("/api/movies", methods=["GET", "POST", "DELETE"])
    @app.route("/api/movies/<path:rest>", methods=["GET", "PUT", "DELETE"])
    def pass_on(rest=None):
        answer = requests.request(
            request.method,
            INVENTORY + request.full_path,
            data=request.get_data(),
            headers={"Content-Type": request.content_type or ""},
        )
        return Response(answer.content, answer.status_code, content_type=answer.headers["Content-Type"])

    @app.post("/api/billing")
    def post_order():
        connection = pika.BlockingConnection(pika.URLParameters(os.environ["BROKER"]))
        channel = connection.channel()
        channel.queue_declare(QUEUE, durable=True)
        channel.basic_publish("", QUEUE, json.dumps(request.get_json()))
        connection.close()
        return jsonify(message="Message posted")

    serve(app, host="0.0.0.0", port=3000)


{"gateway": gateway, "inventory": inventory}[sys.argv[1]]()
