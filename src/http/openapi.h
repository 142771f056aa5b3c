/* The OpenAPI document of the service. api/embed makes it of api/openapi.json when we are built. */
#ifndef HTTP_OPENAPI_H
#define HTTP_OPENAPI_H

extern const char openapi_text[];

#endif
