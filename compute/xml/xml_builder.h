/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Building XML with libxml2 in the terms of Nova's LibvirtConfigObject.
 *
 * A document remembers the first value that lxml would have refused: NULL where text is needed is
 * a TypeError, text that XML cannot carry a ValueError. Building goes on and xml_document_text()
 * reports it, so that element functions need not check each attribute.
 * Nodes belong to their document from the moment they have a parent; a node made by xml_node() is
 * its caller's until then. One thread at a time. */

#include <glib.h>
#include <libxml/tree.h>
#include <stdbool.h>
#include <inttypes.h>

#include "agent/base/nova_error.h"

typedef struct XmlDocument XmlDocument;

XmlDocument *xml_document_new(void);
void xml_document_free(XmlDocument *document);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(XmlDocument, xml_document_free)

/* A node without a parent yet. xml_document_free() frees it, attached or not. */
xmlNode *xml_node(XmlDocument *document, const char *name);
/* Moves a node below 'parent'; NULL is nothing to do. */
void xml_append(xmlNode *parent, xmlNode *node);

xmlNode *xml_child(xmlNode *parent, const char *name);
/* <name>text</name>; NULL text gives an empty element. */
xmlNode *xml_child_text(xmlNode *parent, const char *name, const char *text);
xmlNode *xml_child_int(xmlNode *parent, const char *name, int64_t value);
/* <name attribute="value"/> */
xmlNode *xml_child_attr(xmlNode *parent, const char *name, const char *attribute,
                        const char *value);
void xml_set_text(xmlNode *node, const char *text);

void xml_attr(xmlNode *node, const char *name, const char *value); /* NULL: TypeError */
void xml_attr_if(xmlNode *node, const char *name, const char *value); /* NULL: no attribute */
void xml_attr_int(xmlNode *node, const char *name, int64_t value);
void xml_attr_printf(xmlNode *node, const char *name, const char *format, ...)
    G_GNUC_PRINTF(3, 4);
const char *xml_yes_no(bool value);
const char *xml_on_off(bool value);

/* Makes 'node' and everything added below it belong to the namespace. */
void xml_set_namespace(xmlNode *node, const char *prefix, const char *uri);

/* What libvirt sent; NULL: it cannot be read. xmlFreeDoc(). */
xmlDoc *xml_parse(const char *xml);
/* <devices> of a domain, in *ret_document (caller frees, may be NULL); NULL when the text is none. */
xmlNode *xml_parse_devices(const char *xml, xmlDoc **ret_document);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlDoc, xmlFreeDoc)

/* The first child element of that name, or NULL; for reading. */
xmlNode *xml_find(const xmlNode *parent, const char *name);
/* First element child, next element sibling: for loops over what was parsed. */
xmlNode *xml_first(const xmlNode *parent);
xmlNode *xml_next(const xmlNode *node);
bool xml_is(const xmlNode *node, const char *name);
/* An attribute or the text of an element, NULL when absent; g_free(). */
char *xml_get_attr(const xmlNode *node, const char *name);
char *xml_get_child_attr(const xmlNode *node, const char *child, const char *name);
char *xml_get_text(const xmlNode *node);
bool xml_attr_is(const xmlNode *node, const char *name, const char *value);

/* The element as indented text without an XML declaration; NULL with the document's first refused
 * value in *err. The caller frees it with g_free(). */
char *xml_document_text(XmlDocument *document, xmlNode *root, NovaError **err);
