"""The same with Django REST framework and simplejwt, in one file, without middleware."""

import os
from datetime import timedelta

import django
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application

settings.configure(
    SECRET_KEY=os.environ["SECRET_KEY"],
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "rest_framework",
        __name__,
    ],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.environ["DATABASE"],
            "CONN_MAX_AGE": 60,
        }
    },
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    PASSWORD_HASHERS=["django.contrib.auth.hashers.BCryptSHA256PasswordHasher"],  # cost 12
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": [
            "rest_framework_simplejwt.authentication.JWTAuthentication"
        ],
        "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    },
    SIMPLE_JWT={"ACCESS_TOKEN_LIFETIME": timedelta(hours=1)},  # longer than a run
)
django.setup()

# What follows needs the settings above.
from django.contrib.auth.models import User
from django.db import connection, models
from django.http import JsonResponse
from django.urls import include, path
from rest_framework import generics, routers, serializers, viewsets
from rest_framework.permissions import AllowAny
from rest_framework.validators import UniqueValidator
from rest_framework_simplejwt.views import TokenObtainPairView


class Task(models.Model):
    owner = models.ForeignKey(User, models.CASCADE)  # which makes an index
    title = models.CharField(max_length=255)
    done = models.BooleanField(default=False)


class AccountSerializer(serializers.Serializer):
    id = serializers.IntegerField(read_only=True)
    email = serializers.EmailField(
        source="username", validators=[UniqueValidator(User.objects, "Email already exists")]
    )
    password = serializers.CharField(min_length=8, write_only=True)

    def create(self, account):
        return User.objects.create_user(**account)


class TaskSerializer(serializers.ModelSerializer):
    class Meta:
        model = Task
        fields = ("id", "title", "done")


class Register(generics.CreateAPIView):
    permission_classes = (AllowAny,)
    serializer_class = AccountSerializer


class Tasks(viewsets.ModelViewSet):
    serializer_class = TaskSerializer

    def get_queryset(self):
        return Task.objects.filter(owner=self.request.user).order_by("id")

    def perform_create(self, serializer):
        serializer.save(owner=self.request.user)


router = routers.SimpleRouter(trailing_slash=False)
router.register("tasks", Tasks, basename="task")
urlpatterns = [
    path("health", lambda request: JsonResponse({"status": "ok"})),
    path("auth/register", Register.as_view()),
    path("auth/token", TokenObtainPairView.as_view()),
    path("", include(router.urls)),
]
call_command("migrate", verbosity=0)
if Task._meta.db_table not in connection.introspection.table_names():
    with connection.schema_editor() as editor:
        editor.create_model(Task)
connection.close()  # workers that fork from here open their own
application = get_wsgi_application()
